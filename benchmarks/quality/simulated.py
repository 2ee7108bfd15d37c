"""Simulated fleets: clean ones, where every episode is a false alarm, and one with labelled faults."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.quality.detection import episodes_of
from benchmarks.quality.matching import Found, Span, match
from tocsin.files.mapping import Mapping
from tocsin.model import Episode
from tocsin.simulate.faults import VALUE_KINDS, Fault, labels, plan_faults
from tocsin.simulate.fleet import DAY_MS, Fleet
from tocsin.simulate.simulator import Simulator
from tocsin.simulate.writers import write_events

START_MS = 1_767_225_600_000  # 2026-01-01
MONTH_DAYS = 30
FLEETS = {
    "1m": (Fleet(stations=20, interval_s=60.0, seed=11), 30),
    "5m": (Fleet(stations=40, interval_s=300.0, seed=12), 60),
    "1h": (Fleet(stations=100, interval_s=3600.0, seed=13), 240),
}
FAULTY = Fleet(stations=40, interval_s=60.0, seed=14)
FAULTY_DAYS = 40
LEARNING_DAYS = 10
SLACK_MS = 1_800_000


def false_alarms_per_month(name: str) -> float:
    """Episodes of a clean fleet per device and 30 days, its first hours included."""
    fleet, days = FLEETS[name]
    return len(_episodes(fleet, [], days)) / (fleet.stations * days / MONTH_DAYS)


def with_faults() -> Found:
    """Labelled faults of single parameters, planned after the first days, and what was found of them."""
    kinds = sorted(VALUE_KINDS)
    begin, end = START_MS + LEARNING_DAYS * DAY_MS, START_MS + FAULTY_DAYS * DAY_MS
    faults = plan_faults(FAULTY, kinds, begin, end, per_station_month=4.0)
    spans = [
        Span(label.device, label.parameter, label.kind, label.from_ms, label.to_ms)
        for label in labels(FAULTY, faults)
    ]
    return match(spans, _episodes(FAULTY, faults, FAULTY_DAYS), SLACK_MS)


def _episodes(fleet: Fleet, faults: list[Fault], days: int) -> list[Episode]:
    simulator = Simulator(fleet, faults, START_MS)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "fleet.parquet"
        write_events(path, simulator.chunks(START_MS + days * DAY_MS), fleet.names)
        return episodes_of(path, Mapping())
