"""What is wrong with a technician's devices, as the mapping says now."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.directory.abstract import Freshness
from tocsin.inbox.abstract import Anomaly, Change, Inbox
from tocsin.services.anomalies import PAGE_MAX
from tocsin.services.lasting import Lasting
from tocsin.services.mapping import DeviceMapping

_SCANNED_MAX: Final = 1_000


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
    """Puts mapping and inbox together when somebody asks: a device that moves takes its past along."""

    def __init__(self, mapping: DeviceMapping, inbox: Inbox, lasting: Lasting) -> None:
        self._mapping = mapping
        self._inbox = inbox
        self._lasting = lasting

    def anomalies(
        self, principal: Principal, technician: str, *, unresolved: bool, before: int | None, limit: int
    ) -> TechnicianAnomalies:
        """Newest change first; NotFoundError as for the technician's devices."""
        require(principal, Permission.READ)
        limit = min(limit, PAGE_MAX)
        devices = self._mapping.all_devices_of(principal, technician)
        found = self._inbox.anomalies_of(
            principal.tenant,
            [each.device for each in devices.devices],
            unresolved=unresolved,
            before_sequence=before,
            limit=limit + 1,
        )
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

        And the sequence to go on after: up to there the tenant's changes were looked through, 1,000 at most.
        """
        require(principal, Permission.READ)
        devices = {each.device for each in self._mapping.all_devices_of(principal, technician).devices}
        scanned = self._inbox.changes(after, tenant=principal.tenant, limit=_SCANNED_MAX)
        found: list[Change] = []
        last = after
        theirs: dict[str, bool] = {}
        for change in scanned:
            if len(found) == min(limit, PAGE_MAX):
                break
            last = change.sequence
            if change.anomaly_id not in theirs:
                theirs[change.anomaly_id] = self._is_of(principal, change.anomaly_id, devices)
            if theirs[change.anomaly_id]:
                found.append(change)
        return found, last

    def _is_of(self, principal: Principal, anomaly_id: str, devices: Collection[str]) -> bool:
        anomaly = self._inbox.anomaly(principal.tenant, anomaly_id)
        return anomaly is not None and anomaly.device in devices
