"""Technicians see the devices that the directory says are theirs now, others all of the tenant."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final

from tocsin.access.permissions import TABLE, Permission
from tocsin.access.principal import Principal, Role
from tocsin.directory.abstract import DeviceList, Directory, Freshness
from tocsin.services.sight import MappingUnknownError, NoTechnicianError, Sight

DEVICES_MAX: Final = 10_000
_RETRY_AFTER_S: Final = 30
_SEES_ALL: Final = frozenset(
    role for role in Role if role is not Role.TECHNICIAN and Permission.READ in TABLE[role]
)


class OwnDevices(Sight):
    """Answers from what the directories said, which ask nobody while somebody waits. By tenant; thread-safe.

    Only people whose one role is technician see less than the tenant, and only where it has a directory: a
    program with this role is an application for technicians, made by an admin.
    """

    def __init__(self, directories: Mapping[str, Directory]) -> None:
        self._directories = directories

    def limited(self, principal: Principal) -> bool:
        if not principal.person or principal.roles & _SEES_ALL:
            return False
        return principal.tenant in self._directories

    def devices(self, principal: Principal) -> Collection[str] | None:
        if not self.limited(principal):
            return None
        return frozenset(each.device for each in self.mapped(principal).devices)

    def mapped(self, principal: Principal) -> DeviceList:
        """What the directory says of one who is limited; refused as `devices`."""
        guid = self._guid(principal)
        found = self._directories[principal.tenant].devices_of(guid, limit=DEVICES_MAX)
        if found.missing:
            raise NoTechnicianError(
                "The directory knows no technician with your GUID: an admin can give you the right one."
            )
        if not found.devices and found.freshness is Freshness.UNKNOWN:
            raise MappingUnknownError(
                "The directory has not said yet which devices are yours: try again in a while.",
                retry_after_s=_RETRY_AFTER_S,
            )
        return found

    def own(self, principal: Principal) -> Collection[str]:
        directory = self._directories.get(principal.tenant)
        if directory is None or principal.technician is None:
            return frozenset()
        found = directory.devices_of(principal.technician, limit=DEVICES_MAX)
        return frozenset(each.device for each in found.devices)

    def sees(self, principal: Principal, device: str) -> bool:
        if not self.limited(principal):
            return True
        ownership = self._directories[principal.tenant].ownership(device)
        if ownership.technician == self._guid(principal):
            return True
        self.mapped(principal)  # nothing is said of this device before it is known whose are known at all
        return False

    def is_own(self, principal: Principal, technician: str) -> bool:
        """Whether what is the technician's may be shown: of a colleague's, the limited see nothing."""
        return not self.limited(principal) or technician.lower() == self._guid(principal)

    def age(self, principal: Principal) -> tuple[int | None, Freshness | None]:
        """How old the mapping is that decides; no freshness where none does. Refuses nobody."""
        if not self.limited(principal):
            return None, None
        if principal.technician is None:
            return None, Freshness.UNKNOWN
        found = self._directories[principal.tenant].devices_of(principal.technician, limit=1)
        return found.as_of_ms, found.freshness

    def _guid(self, principal: Principal) -> str:
        if principal.technician is None:
            raise NoTechnicianError(
                "You see the devices that are yours, and nobody has said who you are in the directory: an "
                "admin can give you your GUID."
            )
        return principal.technician
