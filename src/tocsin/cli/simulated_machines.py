"""Options of the machines that are simulated, and the faults that are planned for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.cli.span import behind, note_kinds_without_room, require_rate, span_of

if TYPE_CHECKING:
    from tocsin.simulate.dumps.faults import DumpFault
    from tocsin.simulate.dumps.fleet import DumpFleet

_HOUR_MS = 3_600_000

Machines = Annotated[int, typer.Option("--devices", help="Number of machines.")]
Hours = Annotated[float, typer.Option(help="Hours that they work.")]
Days = Annotated[float | None, typer.Option(help="The same in days, instead of --hours.")]
Seed = Annotated[int, typer.Option(help="Decides every random number.")]
Scale = Annotated[float, typer.Option(help="Times as many lines; at 1, 1,000 in half an hour.")]
Faults = Annotated[
    str,
    typer.Option(
        help="Faults to inject, with commas, `all` or `none`: new_template, vanished_template, "
        "rate_burst, startup_order, parameter_drift, component_silent, level_shift, restart_loop, "
        "unlogged."
    ),
]
FaultsPerDevice = Annotated[float, typer.Option(help="Faults a machine, on average.")]
FaultFreeHours = Annotated[
    float | None,
    typer.Option(help="Hours at the start without faults, to learn the normal. Default: half of them."),
]


def working_span(start: str | None, hours: float, days: float | None, *, ends_now: bool) -> tuple[int, int]:
    """First moment and the one after the last, in ms since 1970."""
    return span_of(start, hours / 24 if days is None else days, ends_now=ends_now)


def plan_of(
    fleet: DumpFleet, faults: str, span: tuple[int, int], per_device: float, free_hours: float | None
) -> list[DumpFault]:
    """The faults asked for; says on stderr for which kinds there is no room."""
    from tocsin.simulate.dumps.faults import parse_dump_kinds, plan_dump_faults

    from_ms, to_ms = span
    half_hours = (to_ms - from_ms) / 2 / _HOUR_MS
    begin_ms = behind(from_ms, half_hours if free_hours is None else free_hours, _HOUR_MS, "fault-free-hours")
    require_rate(per_device, "faults-per-device")
    kinds = parse_dump_kinds(faults)
    planned = plan_dump_faults(fleet, kinds, begin_ms, to_ms, per_device=per_device)
    advice = "more --hours or --devices, or fewer --fault-free-hours"
    note_kinds_without_room(kinds, [fault.kind for fault in planned], advice)
    return planned
