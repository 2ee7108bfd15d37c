"""What is wrong with a technician's devices, as the mapping says now."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.directory.abstract import Freshness
from tocsin.inbox.abstract import Anomaly, AnomalyQuery, Change, Inbox
from tocsin.services.anomalies import PAGE_MAX
from tocsin.services.lasting import Lasting
from tocsin.services.mapping import DeviceMapping
from tocsin.threads import Lock


class TechnicianAnomalies(msgspec.Struct, frozen=True, kw_only=True):
    """A page, the sequence to go on before (None at the end), and how old the mapping is.

    `complete`: every device that the mapping gives the technician was looked at.
    """

    anomalies: Sequence[Anomaly]
    before: int | None
    as_of_ms: int | None
    freshness: Freshness
    complete: bool


class Technicians:
    """Puts mapping and inbox together when somebody asks: a device that moves takes its past along.

    `turns` is held while a page is read (see LISTS_AT_ONCE).
    """

    def __init__(self, mapping: DeviceMapping, inbox: Inbox, lasting: Lasting, turns: Lock) -> None:
        self._mapping = mapping
        self._inbox = inbox
        self._lasting = lasting
        self._turns = turns

    def anomalies(
        self, principal: Principal, technician: str, *, unresolved: bool, before: int | None, limit: int
    ) -> TechnicianAnomalies:
        """Newest change first; NotFoundError as for the technician's devices."""
        require(principal, Permission.READ)
        limit = min(limit, PAGE_MAX)
        query = AnomalyQuery(
            principal.tenant, unresolved=unresolved or None, before_sequence=before, limit=limit + 1
        )
        with self._turns:
            devices = self._mapping.all_devices_of(principal, technician)
            found = self._inbox.anomalies_of([each.device for each in devices.devices], query)
        shown = self._lasting.anomalies(principal.tenant, found[:limit])
        return TechnicianAnomalies(
            anomalies=shown,
            before=shown[-1].updated_sequence if len(found) > limit else None,
            as_of_ms=devices.as_of_ms,
            freshness=devices.freshness,
            complete=not devices.more,
        )

    def changes(
        self, principal: Principal, technician: str, *, after: int, limit: int
    ) -> tuple[Sequence[Change], int]:
        """What happened to the anomalies of the devices that are the technician's now, oldest first.

        And the sequence to go on after, which tells nothing of what happened at other devices.
        """
        require(principal, Permission.READ)
        devices = [each.device for each in self._mapping.all_devices_of(principal, technician).devices]
        found = self._inbox.changes_of(principal.tenant, devices, after, limit=min(limit, PAGE_MAX))
        return found, found[-1].sequence if found else after
