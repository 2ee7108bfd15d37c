"""`tocsin simulate directory`"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin import threads
from tocsin.cli.output import Exit, JsonFlag, counted, finish, note

if TYPE_CHECKING:
    from tocsin.simulate.directory.mapping import SimulatedMapping

_SHOWN_MAX = 3
_NAMED_MAX = 2


class _Ending:
    """What signals tell to end."""

    def __init__(self) -> None:
        self._ended = threads.event()

    def end(self) -> None:
        self._ended.set()

    def wait(self, seconds: float | None) -> None:
        """Until it is told to end, or `seconds` are over."""
        until_s = None if seconds is None else time.monotonic() + seconds
        # a signal that another thread gets does not wake this one: it has to look by itself
        while not self._ended.wait(0.2):
            if until_s is not None and time.monotonic() >= until_s:
                return


def directory(
    stations: Annotated[int, typer.Option(min=0, help="Stations, named as `tocsin simulate` does.")] = 25,
    machines: Annotated[
        int, typer.Option(min=0, help="Machines, named as `tocsin simulate dumps` does.")
    ] = 0,
    names: Annotated[Path | None, typer.Option(help="File with a device's name a line, besides.")] = None,
    technicians: Annotated[int, typer.Option(min=1, help="Number of technicians.")] = 3,
    moves_per_day: Annotated[
        float, typer.Option(min=0, help="Devices that get another technician, on average.")
    ] = 0.0,
    seed: Annotated[int, typer.Option(help="Decides every random number.")] = 1,
    faults: Annotated[
        str,
        typer.Option(
            help="Faults, with commas, or `all`: slow, trickle, timeout, cut, error, busy, refused, "
            "redirect, broken, truncated, repeated, short, stolen, page, no_guid, missing, huge."
        ),
    ] = "",
    share: Annotated[float, typer.Option(min=0, max=1, help="Share of the answers with a fault.")] = 0.1,
    delay_s: Annotated[float, typer.Option(min=0, help="Seconds that an answer takes, on average.")] = 0.05,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one.")] = 0,
    token: Annotated[
        str | None, typer.Option(envvar="TOCSIN_DIRECTORY_TOKEN", help="Token that it asks for.")
    ] = None,
    seconds: Annotated[float | None, typer.Option(help="End by itself after so many seconds.")] = None,
    json: JsonFlag = False,
) -> None:
    """Serve a directory of technicians that never was: two endpoints, a mapping that changes, faults.

    Ctrl-C ends it.
    """
    from tocsin.cli.serve import end_on_signals
    from tocsin.clock import SystemClock
    from tocsin.simulate.directory.faults import Trouble, parse_faults
    from tocsin.simulate.directory.mapping import SimulatedMapping
    from tocsin.simulate.directory.server import SimulatedDirectoryServer
    from tocsin.simulate.directory.service import SimulatedService

    clock = SystemClock()
    devices = _devices(stations, machines, names)
    trouble = Trouble(faults=parse_faults(faults), share=share, delay_s=delay_s)
    mapping = SimulatedMapping(
        devices, technicians, seed=seed, start_ms=clock.now_ms(), moves_per_day=moves_per_day
    )
    service = SimulatedService(mapping, clock, seed=seed, trouble=trouble, token=token)
    ending = _Ending()
    end_on_signals(ending, 10.0)
    with SimulatedDirectoryServer(service, host=host, port=port) as server:
        _introduce(server.url, mapping)
        ending.wait(seconds)
    result = {"asked": sum(service.asked.values()), "moves": len(mapping.moves), "url": server.url}
    finish(result, [f"asked: {result['asked']} moves: {result['moves']}"], json, Exit.OK)


def _devices(stations: int, machines: int, names: Path | None) -> list[str]:
    from tocsin.errors import InvalidInputError
    from tocsin.simulate.dumps.fleet import DumpFleet
    from tocsin.simulate.fleet import Fleet

    found = [Fleet(stations=stations).device(number) for number in range(stations)] if stations else []
    if machines:
        found += [DumpFleet(devices=machines).device(number) for number in range(machines)]
    if names is not None:
        try:
            found += [line for line in names.read_text().splitlines() if line]
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidInputError(f"{names}: can't be read", field="names") from error
    if not found or len(set(found)) < len(found):
        raise InvalidInputError("there must be devices, each with a name of its own", field="names")
    return found


def _introduce(url: str, mapping: SimulatedMapping) -> None:
    note(f"Ready: {url}")
    for technician in mapping.technicians[:_SHOWN_MAX]:
        devices = mapping.devices_of(technician) or ()
        some = ", ".join(("", *devices[:_NAMED_MAX])) + (" …" if len(devices) > _NAMED_MAX else "")
        note(f"Technician {technician} has {counted(len(devices), 'device')}{some}")
