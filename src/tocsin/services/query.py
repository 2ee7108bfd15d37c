"""SQL over the tenant's part of lake and log."""

from __future__ import annotations

from typing import Final, Protocol

import pyarrow as pa

from tocsin import threads
from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.errors import BackpressureError

ROWS_MAX: Final = 10_000
AT_ONCE_MAX: Final = 4


class Sql(Protocol):
    """Runs one SELECT for a tenant; bootstrap binds it to the lake and the log."""

    def __call__(self, sql: str, *, tenant: str, rows_max: int) -> pa.Table:
        """The rows; InvalidInputError for what is no SELECT, TooLargeError beyond the limits."""
        ...


class Queries:
    """For operators; small answers only, larger ones are read from the lake's files.

    A few at once: each may take much memory and a thread for long.
    """

    def __init__(self, sql: Sql, *, at_once_max: int = AT_ONCE_MAX) -> None:
        self._sql = sql
        self._places = threads.semaphore(at_once_max)

    def run(self, principal: Principal, sql: str) -> pa.Table:
        """The rows of one SELECT over the principal's tenant; BackpressureError when too many are asked."""
        require(principal, Permission.OPERATE)
        if not self._places.acquire(blocking=False):
            raise BackpressureError("Too many queries are being worked on.", retry_after_s=5)
        try:
            return self._sql(sql, tenant=principal.tenant, rows_max=ROWS_MAX)
        finally:
            self._places.release()
