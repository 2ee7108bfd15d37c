"""The directory of the demo: two technicians share its stations and machines, at several places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tocsin.cli.demo_feed import Story
from tocsin.cli.demo_machines import MachineStory
from tocsin.cli.demo_story import load_story
from tocsin.cli.opened import TENANT
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.simulate.fleet import Fleet

if TYPE_CHECKING:
    from tocsin.config import Config

_TECHNICIANS: Final = 2
_DEVICES_A_LOCATION: Final = 6
_SEED: Final = 7


@contextmanager
def demo_directory(config: Config, *, stations: int, machines: int) -> Iterator[tuple[Config, Sequence[str]]]:
    """The configuration with a simulated directory, and its technicians; one that it names itself wins.

    The mapping follows from the fleet alone, so that a second start finds the same technicians.
    """
    from tocsin.clock import SystemClock
    from tocsin.config import with_options
    from tocsin.config.directories import DirectoryConfig
    from tocsin.simulate.directory.mapping import SimulatedMapping
    from tocsin.simulate.directory.server import SimulatedDirectoryServer
    from tocsin.simulate.directory.service import SimulatedService

    if TENANT in config.directories:
        yield config, ()
        return
    names = _devices(config.data, stations, machines)
    mapping = SimulatedMapping(names, _TECHNICIANS, seed=_SEED, devices_a_location=_DEVICES_A_LOCATION)
    with SimulatedDirectoryServer(SimulatedService(mapping, SystemClock(), seed=_SEED)) as server:
        connected = {TENANT: DirectoryConfig.model_validate({"url": server.url})}
        yield with_options(config, {"directories": config.directories | connected}), mapping.technicians


def _devices(data: Path, stations: int, machines: int) -> list[str]:
    """Those of an earlier start, or those that this one makes; each technician gets half of the machines."""
    begun = load_story(data / "demo.json", Story)
    fleet = begun.fleet if begun else Fleet(stations=stations)
    found = [fleet.device(number) for number in range(fleet.stations)]
    if not machines:
        return found
    machines_begun = load_story(data / "demo-machines.json", MachineStory)
    dumps = machines_begun.fleet if machines_begun else DumpFleet(devices=machines, locations=machines)
    cells = [dumps.device(number) for number in range(dumps.devices)]
    half = len(cells) // 2
    return [*cells[:half], *found, *cells[half:]]
