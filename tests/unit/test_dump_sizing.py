"""The simulation in columns: its kernel equals plain Python, keeps the rules, and its sums add up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.cli.app import main
from tocsin.errors import InvalidInputError
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.simulate.dumps.schedule import DAY_MS, HOUR_MS, Schedule
from tocsin.simulate.dumps.sizing._kernel import simulate
from tocsin.simulate.dumps.sizing.assumptions import Assumptions, read_assumptions
from tocsin.simulate.dumps.sizing.chart import sizing_lines
from tocsin.simulate.dumps.sizing.demand import Demand, demand, one_after_another
from tocsin.simulate.dumps.sizing.plain import simulate_plainly
from tocsin.simulate.dumps.sizing.report import size_fleet
from tocsin.simulate.dumps.sizing.rules import Outcome, Rules

START_MS = 1_767_571_200_000  # Monday 2026-01-05


def made(rows: list[tuple[float, int, float, bool]], tenants: list[int]) -> Demand:
    """A demand of (arrival, device, work, long)."""
    rows = sorted(rows, key=lambda row: row[0])
    arrived_s, device, work_s, long = zip(*rows, strict=True) if rows else ((), (), (), ())
    return Demand(
        arrived_s=np.array(arrived_s, np.float64),
        device=np.array(device, np.int32),
        size_mib=np.ones(len(rows), np.float32),
        work_s=np.array(work_s, np.float64),
        long=np.array(long, np.bool_),
        tenant=np.array(tenants, np.int32),
    )


# Few different times, so that many things happen at once.
_TIMES = st.integers(0, 40).map(lambda number: number / 4)
_ROWS = st.lists(st.tuples(_TIMES, st.integers(0, 5), _TIMES, st.booleans()), max_size=60)
_TENANTS = st.lists(st.integers(0, 2), min_size=6, max_size=6)
_RULES = st.builds(
    Rules,
    workers_max=st.integers(1, 7),
    commit_s=st.sampled_from([0.0, 0.25]),
    worker_start_s=st.sampled_from([0.0, 0.5]),
    worker_idle_s=st.sampled_from([0.0, 1.0, 60.0]),
)


@settings(max_examples=300, deadline=None)
@given(rows=_ROWS, tenants=_TENANTS, rules=_RULES)
def test_the_kernel_equals_plain_python(
    rows: list[tuple[float, int, float, bool]], tenants: list[int], rules: Rules
) -> None:
    """Bit by bit: when each dump is done, how many workers there were and how long they lived."""
    wanted = made(rows, tenants)
    compiled, plain = (run(wanted, rules, 3.0, 5) for run in (simulate, simulate_plainly))
    np.testing.assert_array_equal(compiled.done_s, plain.done_s)
    np.testing.assert_array_equal(compiled.peaks, plain.peaks)
    assert (compiled.alive_s, compiled.starts) == (plain.alive_s, plain.starts)


@settings(max_examples=200, deadline=None)
@given(rows=_ROWS, tenants=_TENANTS, rules=_RULES)
def test_a_device_has_one_step_at_a_time_and_in_order(
    rows: list[tuple[float, int, float, bool]], tenants: list[int], rules: Rules
) -> None:
    """Each begins after the one before it was committed, no more run at once than there are workers."""
    wanted = made(rows, tenants)
    done_s = simulate(wanted, rules, 3.0, 5).done_s
    begun_s = done_s - wanted.work_s - rules.commit_s - rules.worker_start_s  # or later
    assert np.all(done_s >= wanted.arrived_s + wanted.work_s + rules.commit_s)
    for device in range(6):
        own = wanted.device == device
        assert np.all(np.diff(done_s[own]) >= wanted.work_s[own][1:])
    if rules.commit_s == rules.worker_start_s == 0:
        for chosen, most in (
            (np.ones(len(wanted), np.bool_), rules.workers_max),
            (wanted.long, rules.long_max),
        ):
            middles = (begun_s[chosen] + done_s[chosen]) / 2
            at_once = [np.sum((begun_s[chosen] < middle) & (middle < done_s[chosen])) for middle in middles]
            assert max(at_once, default=0) <= most


def test_no_tenant_and_no_device_keeps_others_from_their_turn() -> None:
    """One tenant's hundred devices, another's one: it waits for one step, not for a hundred."""
    rows = [(0.0, device, 1.0, False) for device in range(100)] + [(0.5, 100, 1.0, False)]
    wanted = made(rows, [0] * 100 + [1])
    assert simulate(wanted, Rules(workers_max=1), 3600, 1).done_s[100] == 2.0
    backlog = made([(0.0, 0, 1.0, False)] * 50 + [(0.5, 1, 1.0, False)], [0, 0])
    assert simulate(backlog, Rules(workers_max=1), 3600, 1).done_s[50] == 2.0


def test_long_steps_leave_half_of_the_workers_to_the_others() -> None:
    """Ten long dumps come first; a short one is done at once."""
    rows = [(0.0, device, 100.0, True) for device in range(10)] + [(1.0, 10, 1.0, False)]
    outcome = simulate(made(rows, [0] * 11), Rules(workers_max=4), 3600, 1)
    assert outcome.done_s[10] == 2.0
    assert sorted(outcome.done_s[:10]) == [100.0 * (1 + number // 2) for number in range(10)]


def test_workers_follow_the_load() -> None:
    """They start when they are needed, which takes its time, and end when idle for long."""
    rows = [(0.0, 0, 1.0, False), (0.0, 1, 1.0, False), (100.0, 0, 1.0, False)]
    rules = Rules(workers_max=5, worker_start_s=2.0, worker_idle_s=10.0)
    outcome: Outcome = simulate(made(rows, [0, 0]), rules, 50.0, 3)
    assert outcome.done_s.tolist() == [3.0, 3.0, 103.0]
    assert outcome.peaks.tolist() == [2, 0, 1]
    assert (outcome.starts, outcome.alive_s) == (3, 3 * 13.0)


def test_the_thread_that_commits_is_one() -> None:
    """Four steps that end at once are committed one after the other."""
    rows = [(0.0, device, 1.0, False) for device in range(4)]
    outcome = simulate(made(rows, [0] * 4), Rules(workers_max=4, commit_s=0.5), 3600, 1)
    assert sorted(outcome.done_s) == [1.5, 2.0, 2.5, 3.0]


@given(data=st.data())
@settings(max_examples=50, deadline=None)
def test_uploads_of_a_device_follow_one_another(data: st.DataObject) -> None:
    """A slow line delays the dumps behind, and they arrive in their order."""
    count = data.draw(st.integers(1, 8))
    sent = sorted(data.draw(st.lists(st.floats(0, 100), min_size=count, max_size=count)))
    lasts = data.draw(st.lists(st.floats(0, 50), min_size=count, max_size=count))
    ends, end = [], 0.0
    for begin, length in zip(sent, lasts, strict=True):
        end = max(begin, end) + length
        ends.append(end)
    found = one_after_another(np.array([sent]), np.array([lasts]))[0]
    np.testing.assert_allclose(found, ends, rtol=0, atol=1e-6)


def test_a_fleet_sends_26_dumps_a_device_and_day_in_the_order_of_their_arrival() -> None:
    """Sizes lie within their bounds, and the same seed gives the same columns."""
    fleet, assumed = DumpFleet(devices=200, locations=50), Assumptions()
    one, two = (demand(fleet, assumed, START_MS, START_MS + 3 * DAY_MS) for _ in range(2))
    assert len(one) == pytest.approx(3 * 26 * 200, rel=0.02)
    assert np.all(np.diff(one.arrived_s) >= 0)
    assert one.size_mib.min() >= assumed.size_min_kib / 1024 * 0.999
    assert one.size_mib.max() <= assumed.size_max_kib / 1024
    assert np.median(one.size_mib) == pytest.approx(assumed.size_median_kib / 1024, rel=0.1)
    np.testing.assert_array_equal(one.arrived_s, two.arrived_s)
    np.testing.assert_array_equal(one.work_s, two.work_s)


def test_a_report_adds_up() -> None:
    """Hours hold all dumps; as many workers as asked for; the rest of the figures follow from the columns."""
    fleet, assumed = DumpFleet(devices=300), Assumptions(step_sigma=0.0)
    sizing = size_fleet(fleet, assumed, START_MS, START_MS + DAY_MS)
    wanted = demand(fleet, assumed, START_MS, START_MS + DAY_MS)
    assert sizing.dumps == len(wanted) == sum(hour.dumps for hour in sizing.hours)
    assert max(hour.workers for hour in sizing.hours) <= sizing.workers_max
    assert sizing.gib_a_day == pytest.approx(float(wanted.size_mib.sum()) / 1024, abs=0.1)
    assert sizing.busy_hours_a_day == pytest.approx(float(wanted.work_s.sum()) / 3600, abs=0.1)
    assert sizing.worker_hours_a_day >= sizing.busy_hours_a_day
    assert (
        sizing.lag.p50_s
        <= sizing.lag.p99_s
        <= sizing.lag.max_s
        == max(hour.lag.max_s for hour in sizing.hours)
    )
    assert sizing.over_limit == int((wanted.work_s > assumed.step_limit_s).sum())
    text = "\n".join(sizing_lines(sizing))
    assert f"{sizing.dumps:,} dumps of 300 devices" in text
    assert text.count("Jan") == 24


def test_more_workers_never_make_it_later_here() -> None:
    """With one the lag of a day is far above that of many, whose lag is the step itself."""
    fleet = DumpFleet(devices=300, schedule=Schedule(spread_s=0))
    few, many = (
        size_fleet(fleet, Assumptions(), START_MS, START_MS + DAY_MS, workers) for workers in (1, 300)
    )
    assert few.lag.p99_s > 3 * many.lag.p99_s
    assert few.hours[0].from_ms == START_MS
    assert many.hours[1].from_ms == START_MS + HOUR_MS


def test_the_command_tells_the_same_as_an_object(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what was assumed; wrong assumptions are told by name."""
    words = ["simulate", "dumps", "--devices", "50", "--days", "1", "--simulated"]
    file = tmp_path / "assume.yaml"
    file.write_text("size_median_kib: 500\nstep_s_per_mib: 2\n")
    assert main([*words, "--assume", str(file), "--workers", "3", "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["devices"], result["workers_max"], result["assumed"]["step_s_per_mib"]) == (50, 3, 2)
    assert main(words) == 0
    assert "lag, last byte to findings" in capsys.readouterr().out
    assert main([*words, "--out", str(tmp_path / "d")]) == 2
    file.write_text("size: 5")
    with pytest.raises(InvalidInputError, match="unknown field `size`"):
        read_assumptions(file)
    with pytest.raises(InvalidInputError, match="sizes must ascend"):
        Assumptions(size_min_kib=900)
