"""`tocsin simulate dumps`"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.cli.output import JsonFlag, finish, lines_of, note, progress
from tocsin.cli.span import DEFAULT_START, span_of

if TYPE_CHECKING:
    from tocsin.simulate.dumps.faults import DumpFault
    from tocsin.simulate.dumps.fleet import DumpFleet

_HOUR_MS = 3_600_000


def dumps(
    out: Annotated[Path, typer.Option(help="Folder to write, empty or absent; `tocsin upload` sends it.")],
    devices: Annotated[int, typer.Option(help="Number of machines.")] = 20,
    hours: Annotated[float, typer.Option(help="Hours that they work.")] = 48.0,
    seed: Annotated[int, typer.Option(help="Decides every random number.")] = 1,
    scale: Annotated[float, typer.Option(help="Times as many lines; at 1, 1,000 in half an hour.")] = 1.0,
    faults: Annotated[
        str,
        typer.Option(
            help="Faults to inject, with commas, `all` or `none`: new_template, vanished_template, "
            "rate_burst, startup_order, parameter_drift, component_silent, level_shift, restart_loop, "
            "unlogged."
        ),
    ] = "all",
    faults_per_device: Annotated[float, typer.Option(help="Faults a machine, on average.")] = 0.5,
    fault_free_hours: Annotated[
        float | None,
        typer.Option(help="Hours at the start without faults, to learn the normal. Default: half of them."),
    ] = None,
    start: Annotated[str, typer.Option(help="First moment (RFC 3339).")] = DEFAULT_START,
    lines: Annotated[
        Path | None,
        typer.Option(help="Log file, or folder of them: their lines are written among those made up."),
    ] = None,
    reorder: Annotated[float, typer.Option(help="Share of the dumps that are sent behind later ones.")] = 0.0,
    repeat: Annotated[float, typer.Option(help="Share that is sent again.")] = 0.0,
    cut: Annotated[float, typer.Option(help="Share whose connections break on the way.")] = 0.0,
    lose: Annotated[float, typer.Option(help="Share that is never sent.")] = 0.0,
    json: JsonFlag = False,
) -> None:
    """Make the log dumps of machines, with labelled faults.

    Each machine's components write in formats of their own; by day a dump is sent every 30 minutes, by night
    every 6 hours, by the clock where it stands. With --reorder, --repeat, --cut or --lose, a plan is written
    too, by which `tocsin upload --delivery` sends.
    """
    from tocsin.errors import InvalidInputError
    from tocsin.simulate.dumps.delivery import Disorder
    from tocsin.simulate.dumps.fleet import DumpFleet
    from tocsin.simulate.dumps.folder import write_dumps
    from tocsin.simulate.dumps.recorded import RecordedLines

    began = time.perf_counter()
    if hours <= 0:
        raise InvalidInputError("--hours must be more than 0", field="hours")
    fleet = DumpFleet(devices=devices, seed=seed, scale=scale)
    from_ms, to_ms = span_of(start, hours / 24, ends_now=False)
    free_ms = round((hours / 2 if fault_free_hours is None else fault_free_hours) * _HOUR_MS)
    planned = _plan(fleet, faults, from_ms + free_ms, to_ms, faults_per_device)
    recorded = None if lines is None else RecordedLines(lines)
    disorder = Disorder(reorder=reorder, repeat=repeat, cut=cut, lose=lose)
    with progress("simulating", None) as advance:
        rows = write_dumps(
            out, fleet, planned, from_ms, to_ms, recorded=recorded, disorder=disorder, on_written=advance
        )
    result: dict[str, Any] = {
        "from_ms": from_ms,
        "to_ms": to_ms,
        "devices": devices,
        "dumps": len(rows),
        "lines": sum(row.lines for row in rows),
        "bytes": sum(row.size_bytes for row in rows),
        "faults": len(planned),
        "out": str(out),
        "seconds": round(time.perf_counter() - began, 3),
    }
    finish(result, lines_of(result), json)


def _plan(fleet: DumpFleet, faults: str, from_ms: int, to_ms: int, per_device: float) -> list[DumpFault]:
    from tocsin.simulate.dumps.faults import parse_dump_kinds, plan_dump_faults

    kinds = parse_dump_kinds(faults)
    planned = plan_dump_faults(fleet, kinds, from_ms, to_ms, per_device=per_device)
    missing = sorted({kind.value for kind in kinds} - {fault.kind.value for fault in planned})
    if missing:
        note(f"no room for {', '.join(missing)}: more --hours or --devices, or fewer --fault-free-hours")
    return planned
