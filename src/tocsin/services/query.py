"""SQL over the tenant's part of lake and log."""

from __future__ import annotations

from typing import Final, Protocol

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.services.places import Places

ROWS_MAX: Final = 10_000
AT_ONCE_MAX: Final = 4


class Sql(Protocol):
    """Runs one SELECT for a tenant; bootstrap binds it to the lake, the log and processes of their own."""

    def __call__(self, sql: str, *, tenant: str, rows_max: int, skip_damaged: bool) -> bytes:
        """The rows as JSON; InvalidInputError for what is no SELECT, TooLargeError beyond the limits.

        CorruptError where files are known to be damaged, unless `skip_damaged` leaves them out.
        """
        ...


class Queries:
    """For operators; small answers only, larger ones are read from the lake's files.

    A few at once: each may take much memory and a thread for long. Tenants share the places fairly.
    """

    def __init__(self, sql: Sql, *, at_once_max: int = AT_ONCE_MAX) -> None:
        self._sql = sql
        self._places = Places(at_once_max, "Too many queries are being worked on.")

    def run(self, principal: Principal, sql: str, *, skip_damaged: bool = False) -> bytes:
        """The rows of one SELECT over the principal's tenant; BackpressureError when too many are asked."""
        require(principal, Permission.OPERATE)
        with self._places.one(principal.tenant):
            return self._sql(sql, tenant=principal.tenant, rows_max=ROWS_MAX, skip_damaged=skip_damaged)
