"""Anomalies as people list them and look at them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.errors import NotFoundError
from tocsin.inbox.abstract import Anomaly, AnomalyQuery, Change, Inbox
from tocsin.services.lasting import Lasting

PAGE_MAX: Final = 200


class Anomalies:
    """Reads the inbox for one tenant at a time; what goes on is told as it is now."""

    def __init__(self, inbox: Inbox, lasting: Lasting) -> None:
        self._inbox = inbox
        self._lasting = lasting

    def page(self, principal: Principal, query: AnomalyQuery) -> tuple[Sequence[Anomaly], int | None]:
        """Newest change first, and the sequence to go on before, None at the end.

        The tenant of `query` is replaced by the principal's.
        """
        require(principal, Permission.READ)
        limit = min(query.limit, PAGE_MAX)
        found = self._inbox.anomalies(replace(query, tenant=principal.tenant, limit=limit + 1))
        shown = self._lasting.anomalies(principal.tenant, found[:limit])
        return shown, shown[-1].updated_sequence if len(found) > limit else None

    def one(self, principal: Principal, anomaly_id: str) -> Anomaly:
        """One anomaly of the tenant; NotFoundError if there is none."""
        require(principal, Permission.READ)
        anomaly = self._inbox.anomaly(principal.tenant, anomaly_id)
        if anomaly is None:
            raise NotFoundError("There is no such anomaly.")
        return self._lasting.anomalies(principal.tenant, [anomaly])[0]

    def is_as_stored(self, anomaly: Anomaly) -> bool:
        """Whether its version says all about it: nothing of it has grown since that was stored."""
        return self._inbox.anomaly(anomaly.tenant, anomaly.id) == anomaly

    def history(self, principal: Principal, anomaly_id: str) -> Sequence[Change]:
        """What happened to it, oldest first."""
        self.one(principal, anomaly_id)
        return self._inbox.history(principal.tenant, anomaly_id)

    def changes(self, principal: Principal, after: int, limit: int) -> Sequence[Change]:
        """What happened to the tenant's anomalies after that sequence, oldest first."""
        require(principal, Permission.READ)
        return self._inbox.changes(after, tenant=principal.tenant, limit=min(limit, PAGE_MAX))
