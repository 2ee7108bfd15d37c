"""The devices of a tenant, as their data made them known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final, Protocol

import msgspec

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.errors import NotFoundError
from tocsin.inbox.abstract import Anomaly, AnomalyQuery, Condition, Inbox
from tocsin.services.lasting import Lasting
from tocsin.services.sight import Sight

PAGE_MAX: Final = 200
NO_DEVICE: Final = "No device of this name has sent anything yet, or it is not one that you see."
"""One answer for both: whoever asks must not learn from it what there is."""

_ANOMALIES_MAX: Final = 50


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """One device: the software that last spoke for it, its parameters, its newest time stamp.

    These are empty and 0 where it sent no reading; `dumps` is how many of its dumps came. What comes while it
    is `quarantined` is kept and not scored.
    """

    device: str
    application: str
    version: str
    parameters: tuple[str, ...]
    last_ms: int
    quarantined: bool = False
    dumps: int = 0


class Fleet(Protocol):
    """Knows every device that was ever accepted; the runtime offers it."""

    def devices(self, tenant: str, *, after: str = "", limit: int = 100) -> Sequence[Device]:
        """Devices with names above `after`, ordered by name."""
        ...

    def device(self, tenant: str, device: str) -> Device | None:
        """One device, None if it never sent anything."""
        ...

    def sends_dumps(self, tenant: str, device: str) -> bool:
        """Whether the device ever sent a dump."""
        ...


class Devices:
    """Lists devices, and what is wrong with one."""

    def __init__(self, fleet: Fleet, inbox: Inbox, lasting: Lasting, sight: Sight) -> None:
        self._fleet = fleet
        self._sight = sight
        self._inbox = inbox
        self._lasting = lasting

    def page(self, principal: Principal, *, after: str, limit: int) -> tuple[Sequence[Device], str | None]:
        """Devices by name, and the name to go on after, None at the end."""
        require(principal, Permission.READ)
        limit = min(limit, PAGE_MAX)
        found = self._found(principal, after, limit + 1)
        return (found, None) if len(found) <= limit else (found[:limit], found[limit - 1].device)

    def one(self, principal: Principal, device: str) -> Device:
        """One device; NotFoundError if it never sent anything to this tenant, or is not seen."""
        require(principal, Permission.READ)
        self._sight.require(principal, device, NO_DEVICE)
        known = self._fleet.device(principal.tenant, device)
        if known is None:
            raise NotFoundError(NO_DEVICE)
        return known

    def active_anomalies(self, principal: Principal, device: str) -> Sequence[Anomaly]:
        """The anomalies that show in the device's data now, newest change first, at most 50."""
        require(principal, Permission.READ)
        self._sight.require(principal, device, NO_DEVICE)
        query = AnomalyQuery(
            principal.tenant, device=device, condition=Condition.ACTIVE, limit=_ANOMALIES_MAX
        )
        return self._lasting.anomalies(principal.tenant, self._inbox.anomalies(query))

    def _found(self, principal: Principal, after: str, limit: int) -> Sequence[Device]:
        """Of few devices each is looked up by name, since the fleet may be large."""
        own = self._sight.devices(principal)
        if own is None:
            return self._fleet.devices(principal.tenant, after=after, limit=limit)
        names = sorted(name for name in own if name > after)
        known = (self._fleet.device(principal.tenant, name) for name in names)
        return list(islice((device for device in known if device is not None), limit))
