"""`tocsin trace`"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.cli.output import Exit, JsonFlag, counted, finish, note
from tocsin.cli.targets import require_files

if TYPE_CHECKING:
    from tocsin.observability.spans import Trace


class Which(StrEnum):
    """One trace of several of the same request."""

    NEWEST = "newest"
    FASTEST = "fastest"
    MEDIAN = "median"
    SLOWEST = "slowest"


def trace(
    file: Annotated[Path, typer.Argument(help="Spans as JSON lines: what `observability.trace_file` names.")],
    what: Annotated[
        str | None,
        typer.Argument(help='Request or job, such as "GET /v1/devices". None: how often there is each.'),
    ] = None,
    trace_id: Annotated[str | None, typer.Option("--id", help="Id of one trace, instead.")] = None,
    which: Annotated[Which, typer.Option(help="Which one of them.")] = Which.NEWEST,
    svg: Annotated[Path | None, typer.Option(help="Write it as a flame graph into this file.")] = None,
    spans: Annotated[
        Path | None, typer.Option(help="Write its spans, as JSON lines, into this file.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Show where the time of a request or of a round of a job went, span by span.

    Times are from the beginning of the request, how long each call took, and what of that is its own, without
    the calls inside it. `then` are rounds of jobs that went on with what the request had handed on.
    """
    from tocsin.errors import InvalidInputError
    from tocsin.observability.flame_graph import flame_graph
    from tocsin.observability.spans import taken_up, traces_of

    require_files(file, svg=svg, spans=spans)
    traces = traces_of(_read(file))
    if what is None and trace_id is None:
        if svg or spans:
            raise InvalidInputError("name the request or the job, or its --id", field="what")
        _show_all(traces, json)
        return
    found = [each for each in traces if trace_id in {None, each.root.trace} and what in {None, each.title}]
    if not found:
        raise InvalidInputError(f"{file} has no whole trace of that", field="what")
    by_time = sorted(found, key=lambda each: each.root.took_us)
    chosen = {
        Which.NEWEST: found[-1],
        Which.FASTEST: by_time[0],
        Which.MEDIAN: by_time[len(by_time) // 2],
        Which.SLOWEST: by_time[-1],
    }[which]
    if svg:
        svg.write_text(flame_graph(chosen), encoding="utf-8")
    if spans:
        spans.write_text("".join(f"{step.span.line}\n" for step in chosen.steps), encoding="utf-8")
    then = taken_up(chosen, traces)
    finish(_told(chosen, then), _lines(chosen, then), json, Exit.OK)


def _read(file: Path) -> list[Any]:
    from tocsin.errors import InvalidInputError
    from tocsin.observability.spans import read_spans

    torn: list[int] = []
    try:
        with file.open(encoding="utf-8", errors="replace") as lines:
            found = list(read_spans(lines, torn))
    except OSError as error:
        raise InvalidInputError(f"{file} can't be read: {error.strerror}", field="file") from error
    if torn:
        note(f"left out, for only their beginning was written: {counted(len(torn), 'line')}, first {torn[0]}")
    return found


def _show_all(traces: Sequence[Trace], json: bool) -> None:
    from tocsin.observability.flame_graph import milliseconds

    took_us: defaultdict[str, list[int]] = defaultdict(list)
    for each in traces:
        took_us[each.title].append(each.root.took_us)
    rows: list[dict[str, Any]] = [
        {
            "what": title,
            "traces": len(some),
            "median_us": sorted(some)[len(some) // 2],
            "slowest_us": max(some),
        }
        for title, some in sorted(took_us.items())
    ]
    lines = [f"{'traces':>6}  {'median':>12}  {'slowest':>12}  what"]
    for row in rows:
        median, most = milliseconds(row["median_us"]), milliseconds(row["slowest_us"])
        lines.append(f"{row['traces']:>6}  {median:>12}  {most:>12}  {row['what']}")
    finish({"traces": rows}, lines, json, Exit.OK)


def _told(trace: Trace, then: Sequence[Trace]) -> dict[str, Any]:
    steps = [
        {
            "number": step.number,
            "name": step.span.name,
            "depth": step.depth,
            "start_us": trace.start_us(step),
            "took_us": step.span.took_us,
            "own_us": step.own_us,
            "failed": step.span.failed,
            "attributes": step.span.attributes,
        }
        for step in trace.steps
    ]
    return {
        "id": trace.root.trace,
        "what": trace.title,
        "took_us": trace.root.took_us,
        "spans": steps,
        "then": [{"id": each.root.trace, "what": each.title} for each in then],
    }


def _lines(trace: Trace, then: Sequence[Trace]) -> list[str]:
    from tocsin.observability.flame_graph import milliseconds
    from tocsin.observability.spans import STATUS

    status = trace.root.attributes.get(STATUS)
    answered = f", answered {status}" if status else ""
    lines = [
        f"{trace.title}{answered}: {milliseconds(trace.root.took_us)}, trace {trace.root.trace}",
        f"{'from':>11}  {'took':>11}  {'of its own':>11}  span",
    ]
    for step in trace.steps:
        times = (trace.start_us(step), step.span.took_us, step.own_us)
        failed = " FAILED" if step.span.failed else ""
        shown = "  ".join(f"{milliseconds(each):>11}" for each in times)
        lines.append(f"{shown}  {'  ' * step.depth}{step.span.name}{failed}")
    for each in then:
        after, took = milliseconds(each.root.start_us - trace.root.start_us), milliseconds(each.root.took_us)
        lines.append(f"{after:>11}  {took:>11}  {'':>11}  then {each.title}")
    return lines
