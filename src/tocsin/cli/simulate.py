"""`tocsin simulate`"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.cli.options import Token
from tocsin.cli.output import JsonFlag, finish, lines_of, progress
from tocsin.cli.simulate_directory import directory
from tocsin.cli.simulate_dumps import dumps
from tocsin.cli.simulate_logs import logs
from tocsin.cli.simulated_sending import sent
from tocsin.cli.span import DEFAULT_START, behind, note_kinds_without_room, require_rate, span_of
from tocsin.cli.targets import require_files

if TYPE_CHECKING:
    from tocsin.events import EventBatch
    from tocsin.simulate.faults import Fault
    from tocsin.simulate.fleet import Fleet
    from tocsin.simulate.simulator import Simulator

simulate_app = typer.Typer(rich_markup_mode=None)
simulate_app.command()(dumps)
simulate_app.command()(logs)
simulate_app.command()(directory)


@simulate_app.callback(invoke_without_command=True)
def simulate(
    context: typer.Context,
    stations: Annotated[int, typer.Option(help="Number of stations.")] = 25,
    days: Annotated[float, typer.Option(help="Days of data.")] = 14.0,
    interval_s: Annotated[float, typer.Option(help="Seconds between two events of a station.")] = 60.0,
    seed: Annotated[int, typer.Option(help="Decides every random number.")] = 1,
    faults: Annotated[
        str,
        typer.Option(
            help="Faults to inject, with commas, or `all`: spike, level_shift, drift, stuck, noise, silence, "
            "wrong_clock, late, duplicate, reordered."
        ),
    ] = "",
    faults_per_month: Annotated[float, typer.Option(help="Faults a station and 30 days, on average.")] = 2.0,
    fault_free_days: Annotated[
        float, typer.Option(help="Days at the start without faults, so that the normal can be learnt.")
    ] = 7.0,
    start: Annotated[
        str | None,
        typer.Option(
            help=f"First moment (RFC 3339). Default: {DEFAULT_START}; with --url so that it ends now."
        ),
    ] = None,
    fleet: Annotated[
        Path | None,
        typer.Option(help="Description of the fleet (YAML), instead of --stations, --interval-s and --seed."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="File to write: .parquet, .csv or .ndjson, in order of arrival.")
    ] = None,
    arrival: Annotated[
        bool, typer.Option("--arrival", help="Write a column `arrival` too, for `backtest --arrival-column`.")
    ] = False,
    labels: Annotated[
        Path | None, typer.Option(help="File for the labels of the faults. Default: beside --out.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Server to send to, instead of a file.")] = None,
    token: Token = "",
    connections: Annotated[int, typer.Option(help="Parallel connections; a device stays on one.")] = 1,
    json: JsonFlag = False,
) -> None:
    """Make the data of a fleet, with labelled faults if wanted.

    To a file, or to a server with --url. `tocsin simulate dumps` makes the log dumps of machines instead,
    `tocsin simulate logs` the same lines one by one, `tocsin simulate directory` serves a directory of
    technicians.
    """
    if context.invoked_subcommand is not None:
        _refuse_options(context)
        return
    if (out is None) == (url is None):
        raise typer.BadParameter("say either --out FILE or --url URL")
    require_files(out=out, labels=labels)
    began = time.perf_counter()
    described = _fleet(fleet, stations, interval_s, seed)
    start_ms, end_ms = span_of(start, days, ends_now=url is not None)
    begin_ms = behind(start_ms, fault_free_days, 86_400_000, "fault-free-days")
    planned = _plan(described, faults, begin_ms, end_ms, faults_per_month)
    result: dict[str, Any] = {"from_ms": start_ms, "to_ms": end_ms, "faults": len(planned)}
    with progress("simulating", _expected(described, end_ms - start_ms)) as advance:
        simulator = _simulator(described, planned, start_ms)
        if out is not None:
            result |= _to_file(simulator, end_ms, out, arrival, advance)
        else:
            result |= sent(_batches(simulator, end_ms), str(url), token, connections, advance)
    result |= _write_labels(described, planned, out, labels)
    result["seconds"] = round(time.perf_counter() - began, 3)
    finish(result, lines_of(result), json)


def _refuse_options(context: typer.Context) -> None:
    """Options before the word `dumps`, `logs` or `directory` would be read and have no effect."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = [name for name, source in sources.items() if source is not None and source.name == "COMMANDLINE"]
    if given:
        option = "--" + given[0].replace("_", "-")
        raise typer.BadParameter(f"{option} stands before the command: options follow it")


def _fleet(description: Path | None, stations: int, interval_s: float, seed: int) -> Fleet:
    import msgspec

    from tocsin.errors import InvalidInputError
    from tocsin.simulate.fleet import Fleet

    if description is None:
        # A fleet that samples fast has little room for jitter and latency.
        slack_s = min(0.4, interval_s / 4)
        return Fleet(
            stations=stations, interval_s=interval_s, seed=seed, jitter_s=slack_s, latency_spread_s=slack_s
        )
    try:
        return msgspec.yaml.decode(description.read_bytes(), type=Fleet)
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidInputError(f"{description}: {error}", field="fleet") from error


def _plan(fleet: Fleet, faults: str, from_ms: int, to_ms: int, per_month: float) -> list[Fault]:
    from tocsin.simulate.faults import parse_kinds, plan_faults

    require_rate(per_month, "faults-per-month")
    kinds = parse_kinds(faults)
    planned = plan_faults(fleet, kinds, from_ms, to_ms, per_station_month=per_month)
    advice = "more --days or stations, or fewer --fault-free-days"
    note_kinds_without_room(kinds, [fault.kind for fault in planned], advice)
    return planned


def _simulator(fleet: Fleet, faults: list[Fault], start_ms: int) -> Simulator:
    from tocsin.simulate.simulator import Simulator

    return Simulator(fleet, faults, start_ms)


def _expected(fleet: Fleet, length_ms: int) -> int:
    return fleet.stations * length_ms // fleet.interval_ms


def _to_file(simulator: Simulator, end_ms: int, out: Path, arrival: bool, advance: Any) -> dict[str, Any]:
    from tocsin.simulate.writers import write_events

    pieces = simulator.chunks(end_ms)
    names = simulator.fleet.names
    events = write_events(out, pieces, names, arrival=arrival, on_written=advance)
    return {"events": events, "readings": events * len(names), "out": str(out)}


def _batches(simulator: Simulator, end_ms: int) -> Iterator[EventBatch]:
    return (piece.batch for piece in simulator.chunks(end_ms, events=20_000))


def _write_labels(fleet: Fleet, faults: list[Fault], out: Path | None, labels: Path | None) -> dict[str, Any]:
    from tocsin.simulate import faults as fault_module
    from tocsin.simulate.writers import labels_path, write_labels

    path = labels or (labels_path(out) if out is not None and faults else None)
    if path is None:
        return {}
    write_labels(path, fault_module.labels(fleet, faults))
    return {"labels": str(path)}
