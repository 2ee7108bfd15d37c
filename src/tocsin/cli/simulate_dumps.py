"""`tocsin simulate dumps`"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.cli.output import JsonFlag, finish, lines_of, progress
from tocsin.cli.simulated_machines import (
    Days,
    FaultFreeHours,
    Faults,
    FaultsPerDevice,
    Hours,
    Machines,
    Scale,
    Seed,
    plan_of,
    working_span,
)
from tocsin.cli.span import DEFAULT_START
from tocsin.cli.targets import require_folder

if TYPE_CHECKING:
    from tocsin.simulate.dumps.delivery import Disorder
    from tocsin.simulate.dumps.faults import DumpFault
    from tocsin.simulate.dumps.fleet import DumpFleet

Spread = Annotated[
    int,
    typer.Option(help="Each machine sends late by a time of its own, up to this."),
]
Assume = Annotated[
    Path | None, typer.Option(help="--simulated: sizes, lines, costs of steps, prices (YAML).")
]


def dumps(
    out: Annotated[
        Path | None, typer.Option(help="Folder to write, empty or absent; `tocsin upload` sends it.")
    ] = None,
    devices: Machines = 20,
    hours: Hours = 48.0,
    days: Days = None,
    seed: Seed = 1,
    scale: Scale = 1.0,
    faults: Faults = "all",
    faults_per_device: FaultsPerDevice = 0.5,
    fault_free_hours: FaultFreeHours = None,
    start: Annotated[str, typer.Option(help="First moment (RFC 3339).")] = DEFAULT_START,
    lines: Annotated[
        Path | None,
        typer.Option(help="Log file, or folder of them: their lines are written among those made up."),
    ] = None,
    reorder: Annotated[float, typer.Option(help="Share of the dumps that are sent behind later ones.")] = 0.0,
    repeat: Annotated[float, typer.Option(help="Share that is sent again.")] = 0.0,
    cut: Annotated[float, typer.Option(help="Share whose connections break on the way.")] = 0.0,
    lose: Annotated[float, typer.Option(help="Share that is never sent.")] = 0.0,
    spread_s: Spread = 1500,
    simulated: Annotated[
        bool, typer.Option("--simulated", help="Write nothing: simulate what processing the dumps needs.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="--simulated: at most so many. Default: as the load needs.")
    ] = None,
    assume: Assume = None,
    json: JsonFlag = False,
) -> None:
    """Make the log dumps of machines, with labelled faults.

    Each machine's components write in formats of their own; by day a dump is sent every 30 minutes, by night
    every 6 hours, by the clock where it stands. With --reorder, --repeat, --cut or --lose, a plan is written
    too, by which `tocsin upload --delivery` sends. --simulated says what processing them needs instead, for
    fleets of any size.
    """
    from tocsin.simulate.dumps.delivery import Disorder
    from tocsin.simulate.dumps.fleet import DumpFleet
    from tocsin.simulate.dumps.schedule import Schedule

    began = time.perf_counter()
    if simulated != (out is None):
        raise typer.BadParameter("say either --out FOLDER or --simulated")
    fleet = DumpFleet(devices=devices, seed=seed, scale=scale, schedule=Schedule(spread_s=spread_s))
    span = working_span(start, hours, days, ends_now=False)
    if out is None:
        result, text = _sized(fleet, span, assume, workers)
    else:
        require_folder(out)
        planned = plan_of(fleet, faults, span, faults_per_device, fault_free_hours)
        disorder = Disorder(reorder=reorder, repeat=repeat, cut=cut, lose=lose)
        result = _written(out, fleet, planned, span, lines, disorder)
        text = lines_of(result)
    seconds = round(time.perf_counter() - began, 3)
    finish(result | {"seconds": seconds}, [*text, f"seconds: {seconds}"], json)


def _sized(
    fleet: DumpFleet, span: tuple[int, int], assume: Path | None, workers: int | None
) -> tuple[dict[str, Any], list[str]]:
    import msgspec

    from tocsin.simulate.dumps.sizing.assumptions import read_assumptions
    from tocsin.simulate.dumps.sizing.chart import sizing_lines
    from tocsin.simulate.dumps.sizing.report import size_fleet

    assumed = read_assumptions(assume)
    sizing = size_fleet(fleet, assumed, *span, workers)
    result: dict[str, Any] = msgspec.to_builtins(sizing)
    return result | {"assumed": msgspec.to_builtins(assumed)}, sizing_lines(sizing)


def _written(
    out: Path,
    fleet: DumpFleet,
    faults: list[DumpFault],
    span: tuple[int, int],
    lines: Path | None,
    disorder: Disorder,
) -> dict[str, Any]:
    from tocsin.simulate.dumps.folder import write_dumps
    from tocsin.simulate.dumps.recorded import RecordedLines

    recorded = None if lines is None else RecordedLines(lines)
    with progress("simulating", None) as advance:
        rows = write_dumps(
            out, fleet, faults, *span, recorded=recorded, disorder=disorder, on_written=advance
        )
    return {
        "from_ms": span[0],
        "to_ms": span[1],
        "devices": fleet.devices,
        "dumps": len(rows),
        "lines": sum(row.lines for row in rows),
        "bytes": sum(row.size_bytes for row in rows),
        "faults": len(faults),
        "out": str(out),
    }
