"""What must hold of a directory: in the end everybody sees what the third party says, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from proof.simulation.lives import Lives
from proof.simulation.plan import TENANT
from proof.simulation.third_party import ThirdParty
from tocsin.access.device_scope import DeviceScope
from tocsin.access.principal import Principal, Role
from tocsin.bootstrap import Application
from tocsin.inbox.abstract import AnomalyQuery
from tocsin.services.sight import MappingUnknownError

_EVERYTHING: Final = 100_000


class DirectoryChecks:
    """Looks at a system whose third party answers well again."""

    def __init__(self, lives: Lives) -> None:
        self._lives: Final = lives

    def agrees(self, application: Application) -> bool:
        """Whether everybody sees what the third party says; who was never asked for is asked for by this."""
        party = self._lives.third_party
        return party is None or not list(_otherwise(application, party))

    def check(self, application: Application) -> None:
        """Whether every law holds."""
        party = self._lives.third_party
        for words in () if party is None else _otherwise(application, party):
            self._lives.findings.add("mapping differs", words)


def _otherwise(application: Application, party: ThirdParty) -> Iterator[str]:
    """Devices that sent something and are said to be another's, technicians who see other anomalies."""
    directory = application.directories.by_tenant[TENANT]
    for device in application.runtime.views.names(TENANT):
        said, owner = directory.ownership(device), party.mapping.owner(device)
        place = None if owner is None else party.mapping.location(device)
        if (said.technician, said.location) != (owner, place):
            yield f"{said} is said of {device}, the third party says {owner} and {place}"
    everything = application.stores.inbox.anomalies(AnomalyQuery(TENANT, limit=_EVERYTHING))
    for technician in party.mapping.technicians:
        own = party.mapping.devices_of(technician) or ()
        hers = {each.id for each in everything if each.device in own}
        if (seen := _seen(application, technician)) != hers:
            yield f"{technician} sees {seen}, hers are {hers}"


def _seen(application: Application, technician: str) -> set[str] | None:
    """The anomalies that a technician's list shows; None where nobody knows yet which devices are hers."""
    scope = DeviceScope((), (), everything=True)
    roles = frozenset({Role.TECHNICIAN})
    person = Principal(TENANT, roles, "technician", "technician", scope, "p", technician)
    query = AnomalyQuery(TENANT, limit=_EVERYTHING)
    try:
        return {each.id for each in application.services.anomalies.page(person, query)[0]}
    except MappingUnknownError:
        return None
