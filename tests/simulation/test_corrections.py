"""When corrections run changes nothing in the end, whatever came late and however late."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proof.model.records import Event
from tests.kit import LogHistory, record_of
from tests.model_kit import CHOICES, TENANT, Writer, log_of_seed
from tests.simulation.test_model import compare
from tests.simulation.test_model_cases import CORRECT, DAY_MS, MINUTE_MS, START_MS, event, log, varying
from tocsin.control import Correct, Quarantine, SettingsChanged, Tick
from tocsin.log.abstract import Record
from tocsin.model import SeriesKey
from tocsin.processing.batching import Decision, batches
from tocsin.processing.processor import process
from tocsin.processing.state import PartitionState, digest_sums

MONTH = 31 * 1440
"""A minute further from the start than anything can be late."""
BACK_MS = (0, 0, 1, 500, 45_000, 600_000, 10_000_000, 5 * DAY_MS, 29 * DAY_MS, 31 * DAY_MS, 90 * DAY_MS)
AHEAD_MS = (600_000, 10_000_000, 20 * DAY_MS, 45 * DAY_MS)
NAMES = (("a",), ("b",), ("a", "b"), ("c", "a"), ())


def settled(records: Sequence[Record], *, everybody: bool = False) -> dict[str, list[tuple[SeriesKey, int]]]:
    """The sums of the digests once every device in need was corrected, or every device there is."""
    state = PartitionState(0)
    process(records, state, LogHistory(records))
    for name, tenant in state.tenants.items():
        wanted = tenant.names.names().tolist() if everybody else tenant.dirty_devices()
        record = record_of(Correct(tenant=name, devices=tuple(wanted)), state.position)
        process([record], state, LogHistory(records))
    assert state.pending_corrections == 0
    sums = [digest_sums(tenant) for tenant in state.tenants.values()]
    return {name: sorted(item for found in sums for item in found[name]) for name in ("raw", "final")}


def uncorrected(records: Sequence[Record]) -> list[Record]:
    """The log without its corrections."""
    found: list[Record] = []
    for record in records:
        (item,) = batches([record])
        if not isinstance(item, Decision) or not isinstance(item.control, Correct):
            offset = found[-1].next_offset if found else 0
            found.append(replace(record, offset=offset))
    return found


def check_moments(records: Sequence[Record]) -> None:
    """With the log's corrections or without them, of the devices in need or of all: the same."""
    bare = uncorrected(records)
    in_need = settled(bare)
    assert settled(records) == in_need
    assert in_need == settled(bare, everybody=True)


def test_what_comes_a_month_late_tells_nothing_of_the_device() -> None:
    """Neither readings nor stamps of events more than 30 days late count, corrected before them or after."""
    behind = [event(minute, {"a": 1.0}) for minute in range(0, 60, 5)]
    now = varying(MONTH, MONTH + 30)
    late, more = [event(MONTH + 12.5, {"a": 1.0})], varying(MONTH + 90, MONTH + 100)
    before = log(now, late, CORRECT, behind, more)
    after = log(now, late, behind, CORRECT, more)
    assert settled(before) == settled(after)
    for records in (before, after):
        check_moments(records)
        assert compare(records, []) == []


@pytest.mark.parametrize("texts", [0, 1])
def test_a_stamp_behind_its_device_asks_for_a_correction(texts: int) -> None:
    """A parameter may be in order by itself while its device is further on: its order counts, too."""
    behind = [event(minute + 0.5, {"b": 1.0}, texts=texts) for minute in range(30)]
    records = log(varying(0, 30), behind, varying(90, 100))
    check_moments(records)
    assert compare(records, []) == []


def _event(draw: random.Random, ts: int) -> Event:
    values = {name: float(draw.randrange(3)) for name in draw.choice(NAMES)}
    stream = {"application": draw.choice(("pumps", "pumps", "fans"))} if draw.random() < 0.1 else {}
    return event(0, values, **stream, texts=draw.randrange(2), live=draw.random() < 0.9, ts=ts)


def _send(draw: random.Random, writer: Writer) -> None:
    """Events in order, behind the device or ahead of it; now and then with a clock known to be wrong."""
    now_ms = writer.now_ms.get((TENANT, "pump-0"), START_MS)
    step_ms, count = draw.choice((1000, MINUTE_MS, MINUTE_MS, 300_000)), draw.choice((1, 2, 15, 40))
    from_ms = now_ms + draw.choice((0, 0, 0, *AHEAD_MS, *(-back_ms for back_ms in BACK_MS)))
    wrong = draw.random() < 0.05
    for number in range(count):
        writer.send(replace(_event(draw, from_ms + number * step_ms), clock_wrong=wrong))
    if from_ms >= now_ms and not wrong:
        writer.now_ms[TENANT, "pump-0"] = from_ms + count * step_ms


def _decide(draw: random.Random, writer: Writer) -> None:
    now_ms = writer.now_ms.get((TENANT, "pump-0"), START_MS)
    changed = SettingsChanged(tenant=TENANT, effective_ms=now_ms, settings=draw.choice(CHOICES))
    stopped = Quarantine(tenant=TENANT, devices=("pump-0",), reason="drawn", released=draw.random() < 0.6)
    tick = Tick(now_ms=now_ms + draw.choice((0, 3_600_000, 10 * DAY_MS)))
    writer.decide(TENANT, draw.choice((changed, stopped, tick, CORRECT, CORRECT, CORRECT)))


def disorderly(seed: int, steps: int) -> list[Record]:
    """A log of one device in great disorder, with decisions at any place."""
    draw = random.Random(seed)
    writer = Writer(START_MS, draw.choice((1, 7, 100)))
    first = SettingsChanged(tenant=TENANT, effective_ms=0, settings=draw.choice(CHOICES))
    writer.decide(TENANT, first)
    for _ in range(steps):
        (_decide if draw.random() < 0.3 else _send)(draw, writer)
    writer.flush()
    return writer.records


DISORDERLY = st.builds(disorderly, st.integers(0, 2**32), st.integers(1, 12))
LOGS = st.builds(log_of_seed, st.integers(0, 2**32), st.integers(1, 40))


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(records=DISORDERLY | LOGS)
def test_when_corrections_run_changes_no_digest(records: list[Record]) -> None:
    """However late, ahead, quarantined or without readings events are: `raw` and `final` are those of no
    correction before the last, and a correction that nobody needs changes nothing."""
    check_moments(records)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(records=DISORDERLY, cuts=st.lists(st.integers(1, 30), max_size=4))
def test_the_model_says_the_same_of_great_disorder(records: list[Record], cuts: list[int]) -> None:
    """Statuses, verdicts, episodes, counts and digests are those of the model."""
    assert compare(records, cuts) == []
