"""`tocsin simulate logs`"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.cli.options import Token
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
from tocsin.cli.simulated_sending import sent
from tocsin.cli.span import DEFAULT_START
from tocsin.cli.targets import require_files

if TYPE_CHECKING:
    from tocsin.events import EventBatch
    from tocsin.simulate.dumps.faults import DumpFault
    from tocsin.simulate.dumps.fleet import DumpFleet
    from tocsin.simulate.dumps.stream import StreamedLine

_BATCH_LINES = 20_000


def logs(
    out: Annotated[
        Path | None, typer.Option(help="File to write (NDJSON); `tocsin ingest --logs` sends it.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Server to send to, instead of a file.")] = None,
    token: Token = "",
    connections: Annotated[int, typer.Option(help="Parallel connections; a device stays on one.")] = 1,
    devices: Machines = 20,
    hours: Hours = 48.0,
    days: Days = None,
    seed: Seed = 1,
    scale: Scale = 1.0,
    faults: Faults = "all",
    faults_per_device: FaultsPerDevice = 0.5,
    fault_free_hours: FaultFreeHours = None,
    start: Annotated[
        str | None,
        typer.Option(
            help=f"First moment (RFC 3339). Default: {DEFAULT_START}; with --url so that it ends now."
        ),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(help="File for the labels of the faults. Default: beside --out.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Make the log lines of machines one by one, with labelled faults.

    To a file, or to a server with --url, in the order of time. The lines are those of the dumps that `tocsin
    simulate dumps` writes for the same options.
    """
    from tocsin.simulate.dumps.fleet import DumpFleet
    from tocsin.simulate.dumps.stream import streamed_lines, write_stream

    if (out is None) == (url is None):
        raise typer.BadParameter("say either --out FILE or --url URL")
    require_files(out=out, labels=labels)
    began = time.perf_counter()
    span = from_ms, to_ms = working_span(start, hours, days, ends_now=url is not None)
    fleet = DumpFleet(devices=devices, seed=seed, scale=scale)
    planned = plan_of(fleet, faults, span, faults_per_device, fault_free_hours)
    result: dict[str, Any] = {"from_ms": from_ms, "to_ms": to_ms, "devices": devices, "faults": len(planned)}
    with progress("simulating", None) as advance:
        lines = streamed_lines(fleet, planned, from_ms, to_ms)
        if out is not None:
            result |= {"lines": write_stream(out, lines, advance), "out": str(out)}
        else:
            result |= sent(_batches(lines), str(url), token, connections, advance)
    result |= _labelled(fleet, planned, out, labels)
    result["seconds"] = round(time.perf_counter() - began, 3)
    finish(result, lines_of(result), json)


def _batches(lines: Iterator[StreamedLine]) -> Iterator[EventBatch]:
    from tocsin.ingest.parsing.log_batch import batch_of_lines
    from tocsin.ingest.parsing.log_line import SentLine
    from tocsin.log_lines import LogLine

    while some := list(islice(lines, _BATCH_LINES)):
        yield batch_of_lines(
            [
                SentLine(
                    each.device, each.time, LogLine(each.component, each.text), each.application, each.version
                )
                for each in some
            ]
        )


def _labelled(
    fleet: DumpFleet, faults: list[DumpFault], out: Path | None, labels: Path | None
) -> dict[str, Any]:
    from tocsin.simulate.dumps.faults import dump_labels
    from tocsin.simulate.dumps.folder import write_rows
    from tocsin.simulate.writers import labels_path

    path = labels or (labels_path(out) if out is not None and faults else None)
    if path is None:
        return {}
    write_rows(path, dump_labels(fleet, faults))
    return {"labels": str(path)}
