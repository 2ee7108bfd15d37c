"""Who is asking: the tenant, roles and devices that a checked credential stands for."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from tocsin.access.device_scope import BoolArray, DeviceScope
from tocsin.events import Strings


class Role(StrEnum):
    """What a credential is for; see permissions.TABLE."""

    ADMIN = "admin"
    OPERATOR = "operator"
    TECHNICIAN = "technician"
    VIEWER = "viewer"
    DEVICE = "device"


@dataclass(frozen=True, slots=True)
class Principal:
    """A checked credential. `key_id` is no secret; it names the credential in logs and the audit log."""

    tenant: str
    roles: frozenset[Role]
    key_id: str
    name: str
    devices: DeviceScope = field(compare=False, repr=False)

    def may_speak_for(self, devices: Strings) -> BoolArray:
        """For each name, whether this credential may send its events. Compiled; thread-safe."""
        return self.devices.covers(devices)
