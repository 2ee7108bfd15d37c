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
from tocsin.services.sight import Sight
from tocsin.threads import Lock

PAGE_MAX: Final = 200
LISTS_AT_ONCE: Final = 4
"""How many threads read lists: one interpreter runs them all, and more only take it from each other."""
NO_ANOMALY: Final = "There is no such anomaly."


class Anomalies:
    """Reads the inbox for one tenant at a time, at devices that are seen; what goes on is told as of now.

    `turns` is held while a page is read (see LISTS_AT_ONCE).
    """

    def __init__(self, inbox: Inbox, lasting: Lasting, sight: Sight, turns: Lock) -> None:
        self._inbox = inbox
        self._lasting = lasting
        self._sight = sight
        self._turns = turns

    def page(self, principal: Principal, query: AnomalyQuery) -> tuple[Sequence[Anomaly], int | None]:
        """Newest change first, and the sequence to go on before, None at the end.

        The tenant of `query` is replaced by the principal's.
        """
        require(principal, Permission.READ)
        limit = min(query.limit, PAGE_MAX)
        with self._turns:
            found = self._found(principal, replace(query, tenant=principal.tenant, limit=limit + 1))
        shown = self._lasting.anomalies(principal.tenant, found[:limit])
        return shown, shown[-1].updated_sequence if len(found) > limit else None

    def mine(
        self, principal: Principal, name: str, *, device: str | None, before: int | None, limit: int
    ) -> tuple[Sequence[Anomaly], int | None]:
        """What one person is to do: unresolved, and assigned to `name` or at a device of the person's own.

        As `page`; who sees the own devices alone gets nothing of others, assigned or not.
        """
        query = AnomalyQuery(
            principal.tenant, device=device, unresolved=True, before_sequence=before, limit=limit
        )
        own = self._sight.own(principal)
        if self._sight.limited(principal) or device in own:
            return self.page(principal, query)
        require(principal, Permission.READ)
        query = replace(query, limit=min(limit, PAGE_MAX) + 1)
        with self._turns:
            found = self._inbox.anomalies(replace(query, assignee=name))
            if device is None:
                found += self._inbox.anomalies_of(own, query)
        newest = sorted({each.updated_sequence: each for each in found}.items(), reverse=True)[: query.limit]
        shown = self._lasting.anomalies(principal.tenant, [each for _, each in newest[: query.limit - 1]])
        return shown, shown[-1].updated_sequence if len(newest) == query.limit else None

    def one(self, principal: Principal, anomaly_id: str) -> Anomaly:
        """One anomaly of the tenant; NotFoundError if there is none at a device that is seen."""
        return self._lasting.anomalies(principal.tenant, [self.stored(principal, anomaly_id)])[0]

    def stored(self, principal: Principal, anomaly_id: str) -> Anomaly:
        """The same as its version says, without what has grown since."""
        require(principal, Permission.READ)
        anomaly = self._inbox.anomaly(principal.tenant, anomaly_id)
        if anomaly is None:
            raise NotFoundError(NO_ANOMALY)
        self._sight.require(principal, anomaly.device, NO_ANOMALY)
        return anomaly

    def is_as_stored(self, anomaly: Anomaly) -> bool:
        """Whether its version says all about it: nothing of it has grown since that was stored."""
        return self._inbox.anomaly(anomaly.tenant, anomaly.id) == anomaly

    def history(self, principal: Principal, anomaly_id: str) -> Sequence[Change]:
        """What happened to it, oldest first."""
        self.one(principal, anomaly_id)
        return self._inbox.history(principal.tenant, anomaly_id)

    def changes(self, principal: Principal, after: int, limit: int) -> Sequence[Change]:
        """What happened to the anomalies of devices that are seen, after that sequence, oldest first."""
        require(principal, Permission.READ)
        tenant, limit = principal.tenant, min(limit, PAGE_MAX)
        devices = self._sight.devices(principal)
        if devices is None:
            return self._inbox.changes(after, tenant=tenant, limit=limit)
        return self._inbox.changes_of(tenant, devices, after, limit=limit)

    def _found(self, principal: Principal, query: AnomalyQuery) -> Sequence[Anomaly]:
        devices = self._sight.devices(principal)
        if devices is not None and query.device is None:
            return self._inbox.anomalies_of(devices, query)
        if devices is not None and query.device not in devices:
            return []
        return self._inbox.anomalies(query)
