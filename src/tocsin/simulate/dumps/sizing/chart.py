"""A sizing for people: what it needs in a few lines, and its busiest day as bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from tocsin.simulate.dumps.sizing.report import Hour, Sizing

_WIDTH: Final = 40
_HOURS: Final = 24


def sizing_lines(sizing: Sizing) -> list[str]:
    """The text, line by line."""
    return [*_summary(sizing).splitlines(), *_bars(_busiest_day(sizing.hours))]


def _summary(sizing: Sizing) -> str:
    lag, most = sizing.lag, sizing.workers_max
    return f"""\
{sizing.dumps:,} dumps of {sizing.devices:,} devices in {sizing.days:g} days; at most {most} workers
lag, last byte to findings: p50 {lag.p50_s:.2f} s, p99 {lag.p99_s:.1f} s, max {lag.max_s:.1f} s
workers: {sizing.worker_hours_a_day:,.0f} hours a day, {sizing.busy_hours_a_day:,.0f} of them at work
busiest hour: {sizing.uplink_gbit_s_max:.2f} Gbit/s in, {sizing.receive_cores_max:.1f} cores that receive
busiest hour: {sizing.commit_share_max:.0%} of the thread that commits
storage: {sizing.gib_a_day:,.0f} GiB a day, {sizing.gib_kept:,.0f} GiB kept
a month: workers {sizing.cost_workers:,.0f}, storage {sizing.cost_storage:,.0f}
steps over their limit of time: {sizing.over_limit:,}"""


def _busiest_day(hours: Sequence[Hour]) -> Sequence[Hour]:
    """The 24 hours, from a midnight (UTC) on where there is one, with the most work."""
    days = (hours[at : at + _HOURS] for at in range(0, len(hours), _HOURS))
    return max(days, key=lambda day: sum(hour.busy for hour in day))


def _bars(day: Sequence[Hour]) -> Iterator[str]:
    most = max(1, *(hour.workers for hour in day))
    yield f"{'UTC':16} {'dumps':>8} {'workers':>7} {'busy':>6} {'p50 s':>7} {'p99 s':>7} {'max s':>8}"
    for hour in day:
        moment = datetime.fromtimestamp(hour.from_ms / 1000, UTC)
        bar = "█" * round(hour.workers * _WIDTH / most)
        yield (
            f"{moment:%a %d %b %H:%M} {hour.dumps:>8,} {hour.workers:>7} {hour.busy:>6.1f} "
            f"{hour.lag.p50_s:>7.2f} {hour.lag.p99_s:>7.1f} {hour.lag.max_s:>8.1f} {bar}".rstrip()
        )
