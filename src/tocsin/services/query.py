"""SQL over the tenant's part of lake and log."""

from __future__ import annotations

from typing import Final, Protocol

import pyarrow as pa

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal

ROWS_MAX: Final = 10_000


class Sql(Protocol):
    """Runs one SELECT for a tenant; bootstrap binds it to the lake and the log."""

    def __call__(self, sql: str, *, tenant: str, rows_max: int) -> pa.Table:
        """The rows; InvalidInputError for what is no SELECT, TooLargeError beyond the limits."""
        ...


class Queries:
    """For operators; small answers only, larger ones are read from the lake's files."""

    def __init__(self, sql: Sql) -> None:
        self._sql = sql

    def run(self, principal: Principal, sql: str) -> pa.Table:
        """The rows of one SELECT over the principal's tenant."""
        require(principal, Permission.OPERATE)
        return self._sql(sql, tenant=principal.tenant, rows_max=ROWS_MAX)
