"""Devices whose readings are kept but not scored: while they are repaired, or send nonsense."""

from __future__ import annotations

from typing import Final

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.clock import Clock
from tocsin.control import Quarantine, encode_control
from tocsin.errors import NotFoundError
from tocsin.log.abstract import Append, Log, Part, RecordKind
from tocsin.services.audit import AuditTrail
from tocsin.services.devices import Fleet
from tocsin.sharding import partition_of, shard_of


class Quarantines:
    """For operators, within their tenant. Each decision is a record of the log, so a replay sees it too."""

    def __init__(self, log: Log, fleet: Fleet, audit: AuditTrail, clock: Clock) -> None:
        self._log: Final = log
        self._fleet: Final = fleet
        self._audit: Final = audit
        self._clock: Final = clock

    def begin(self, principal: Principal, device: str, reason: str) -> None:
        """From here on, do not score what the device sends; durable on return. Again changes nothing.

        NotFoundError if it never sent anything: there is nothing yet that could be kept apart.
        """
        self._decide(principal, device, reason, released=False)

    def end(self, principal: Principal, device: str) -> None:
        """Score the device again from here on; durable on return. Again changes nothing.

        Dump detectors that have stopped for it go on with the dump at which they did.
        """
        self._decide(principal, device, "", released=True)

    def _decide(self, principal: Principal, device: str, reason: str, *, released: bool) -> None:
        require(principal, Permission.OPERATE)
        tenant = principal.tenant
        if self._fleet.device(tenant, device) is None and not self._fleet.sends_dumps(tenant, device):
            raise NotFoundError("No device of this name has sent anything yet.")
        decision = Quarantine(tenant=tenant, devices=(device,), reason=reason, released=released)
        partition = partition_of(shard_of(tenant, device), self._log.partitions)
        part = Part(partition, RecordKind.CONTROL, 1, encode_control(decision))
        self._log.submit(Append(tenant=tenant, arrival_ms=self._clock.now_ms(), parts=(part,))).result()
        self._audit.did(principal, "device.release" if released else "device.quarantine", device)
