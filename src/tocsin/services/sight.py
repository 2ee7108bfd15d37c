"""Which devices of the tenant somebody sees, for whoever reads or acts on their behalf."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection

from tocsin.access.principal import Principal
from tocsin.errors import ForbiddenError, NotFoundError, TocsinError


class NoTechnicianError(ForbiddenError):
    """Technicians see their own devices, and nobody has said whose these are: no GUID, or an unknown one."""

    code = "no_technician"


class MappingUnknownError(TocsinError):
    """The directory has not said yet which devices are this technician's, so none can be shown."""

    code = "mapping_unknown"
    status = 503


class Sight(ABC):
    """Answers at once, as of the moment of asking. Thread-safe."""

    @abstractmethod
    def limited(self, principal: Principal) -> bool:
        """Whether there are devices of the tenant that the principal must not know of."""

    @abstractmethod
    def devices(self, principal: Principal) -> Collection[str] | None:
        """The principal's devices, each named once, None for all.

        NoTechnicianError and MappingUnknownError where nobody knows which these are.
        """

    @abstractmethod
    def sees(self, principal: Principal, device: str) -> bool:
        """Whether the device is one of them; costs one look. Refused as `devices`, unless it surely is."""

    @abstractmethod
    def own(self, principal: Principal) -> Collection[str]:
        """The devices that the directory gives the person, whatever else is seen; none if it gives none."""

    def require(self, principal: Principal, device: str, otherwise: str) -> None:
        """NotFoundError, with the words for what does not exist, unless the device is seen."""
        if not self.sees(principal, device):
            raise NotFoundError(otherwise)
