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


class Scope(StrEnum):
    """What a person's own key is good for; see permissions.SCOPES."""

    READ = "read"
    ACT = "act"
    INGEST = "ingest"


@dataclass(frozen=True, slots=True)
class Principal:
    """A checked credential, or a person who is signed in.

    `key_id` is no secret; it names the credential in logs and the audit log, and is the person's id where one
    is signed in. `person` is the id of the person who acts, "" for a program; `technician` is the directory's
    GUID. Whoever `must_change` the password may do nothing else before. `scopes` narrow what the roles allow,
    where it is a key that a person made; None = all of it. `address` is where the request came from, "" for
    what this process does itself; it makes nobody another.
    """

    tenant: str
    roles: frozenset[Role]
    key_id: str
    name: str
    devices: DeviceScope = field(compare=False, repr=False)
    person: str = ""
    technician: str | None = None
    must_change: bool = False
    scopes: frozenset[Scope] | None = None
    address: str = field(default="", compare=False)

    @property
    def holder(self) -> str:
        """Whose share of the server a request uses: all keys of a person, and her browsers, have one."""
        return self.person or self.key_id

    def may_speak_for(self, devices: Strings) -> BoolArray:
        """For each name, whether this credential may send its events. Compiled; thread-safe."""
        return self.devices.covers(devices)
