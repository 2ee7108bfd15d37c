"""The simulator: what its signals look like, its faults, and that cutting the stream changes nothing."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.clock import ManualClock
from tocsin.errors import InvalidInputError
from tocsin.events import F64, I64
from tocsin.simulate.faults import Fault, FaultKind, labels, parse_kinds, plan_faults
from tocsin.simulate.fleet import DAY_MS, Fleet, Quantity
from tocsin.simulate.live import LiveFleet
from tocsin.simulate.simulator import Arrivals, Simulator
from tocsin.simulate.writers import labels_path, write_events, write_labels

START_MS = 1_767_571_200_000  # Monday, 2026-01-05
MINUTE_MS = 60_000
FLEET = Fleet(stations=3, seed=7)


def run(faults: list[Fault], minutes: int = 240, fleet: Fleet = FLEET) -> Arrivals:
    return Simulator(fleet, faults, START_MS).advance(START_MS + minutes * MINUTE_MS)


def of_station(arrivals: Arrivals, station: int, fleet: Fleet = FLEET) -> tuple[I64, F64, I64]:
    """Stamps, values (event, quantity) and arrivals of one station, in order of arrival."""
    device = fleet.device(station)
    rows = np.array([row for row, name in enumerate(arrivals.batch.device.tolist()) if name == device])
    values = arrivals.batch.value.reshape(len(arrivals), -1)
    return arrivals.batch.ts[rows], values[rows], arrivals.arrival_ms[rows]


def fault(kind: FaultKind, size: float = 1.0, quantity: int = -1) -> Fault:
    """A fault of station 1 from minute 60 to 120."""
    return Fault(
        kind=kind,
        station=1,
        from_ms=START_MS + 60 * MINUTE_MS,
        to_ms=START_MS + 120 * MINUTE_MS,
        size=size,
        quantity=quantity,
    )


def inside(ts: I64) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return (ts >= START_MS + 60 * MINUTE_MS) & (ts < START_MS + 120 * MINUTE_MS)


@given(
    cuts=st.lists(st.integers(1, 3 * MINUTE_MS - 1), max_size=12),
    kinds=st.lists(st.sampled_from(list(FaultKind)), max_size=4),
    seed=st.integers(0, 1000),
)
@settings(max_examples=60, deadline=None)
def test_cutting_the_stream_differently_changes_nothing(
    cuts: list[int], kinds: list[FaultKind], seed: int
) -> None:
    """Pieces joined together are the same events in the same order, whatever the pieces were.

    Twenty events a second, so that arrivals in the same millisecond occur.
    """
    fleet = Fleet(stations=20, seed=seed, interval_s=1.0, jitter_s=0.2, latency_spread_s=0.2)
    span = {"from_ms": START_MS + MINUTE_MS, "to_ms": START_MS + 2 * MINUTE_MS}
    faults = [Fault(kind=kind, station=number, size=0.5, **span) for number, kind in enumerate(kinds)]
    whole = run(faults, minutes=3, fleet=fleet)
    assert (np.diff(whole.arrival_ms) >= 0).all()
    simulator = Simulator(fleet, faults, START_MS)
    pieces = [simulator.advance(START_MS + cut) for cut in (*sorted(cuts), 3 * MINUTE_MS)]
    for column in ("ts", "value", "parameter"):
        joined = np.concatenate([getattr(piece.batch, column) for piece in pieces])
        np.testing.assert_array_equal(joined, getattr(whole.batch, column))
    assert [name for piece in pieces for name in piece.batch.device.tolist()] == whole.batch.device.tolist()
    np.testing.assert_array_equal(np.concatenate([piece.arrival_ms for piece in pieces]), whole.arrival_ms)


def test_chunks_give_what_one_advance_gives() -> None:
    """Reading in chunks is for memory only."""
    chunks = list(
        Simulator(FLEET, [fault(FaultKind.LATE, 0.5)], START_MS).chunks(START_MS + DAY_MS, events=50)
    )
    whole = Simulator(FLEET, [fault(FaultKind.LATE, 0.5)], START_MS).advance(START_MS + DAY_MS)
    assert len(chunks) > 20
    np.testing.assert_array_equal(np.concatenate([chunk.batch.value for chunk in chunks]), whole.batch.value)


def test_a_seed_gives_the_same_events_and_another_seed_others() -> None:
    """The seed alone decides the random numbers."""
    np.testing.assert_array_equal(run([]).batch.value, run([]).batch.value)
    assert (run([]).batch.value != run([], fleet=Fleet(stations=3, seed=8)).batch.value).any()


def test_stations_do_not_depend_on_how_many_there_are() -> None:
    """Each station draws from its own generators, so a larger fleet contains the smaller one."""
    small, large = run([], fleet=Fleet(stations=2)), run([], fleet=Fleet(stations=9))
    np.testing.assert_array_equal(of_station(small, 1)[1], of_station(large, 1, Fleet(stations=9))[1])


def test_events_come_in_order_of_arrival_and_healthy_stations_never_overtake_themselves() -> None:
    """Arrivals ascend over the fleet, stamps ascend within a station."""
    arrivals = run([])
    assert (np.diff(arrivals.arrival_ms) >= 0).all()
    for station in range(FLEET.stations):
        assert (np.diff(of_station(arrivals, station)[0]) > 0).all()


def test_values_follow_mean_season_and_deviation() -> None:
    """The day's course is the season, and what is left is noise of the stated size and memory."""
    quantity = Quantity(
        name="t",
        mean=20.0,
        deviation=1.0,
        daily=5.0,
        daily_peak_h=15.0,
        walk_step=0.0,
        level_spread=0.0,
        phi=0.9,
    )
    fleet = Fleet(stations=1, quantities=(quantity,), seed=3)
    ts, values, _ = of_station(run([], minutes=60 * 24 * 60, fleet=fleet), 0, fleet)
    season = 5.0 * np.cos(2 * np.pi * ((ts % DAY_MS) / DAY_MS - 15 / 24))
    rest = values[:, 0] - 20.0 - season
    assert abs(rest.mean()) < 0.1
    assert rest.std() == pytest.approx(1.0, rel=0.05)
    assert np.corrcoef(rest[1:], rest[:-1])[0, 1] == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize(("recalibration", "bound"), [(0.05, 3.0), (0.0, np.inf)])
def test_recalibration_keeps_the_walk_near_the_distribution(recalibration: float, bound: float) -> None:
    """The walk alone strays without limit; called back at a rate it stays within a few deviations."""
    quantity = Quantity(
        name="t",
        mean=0.0,
        deviation=1.0,
        phi=0.0,
        walk_step=1.0,
        recalibration=recalibration,
        level_spread=0.0,
    )
    fleet = Fleet(stations=20, quantities=(quantity,), interval_s=60)
    values = run([], minutes=60 * 24 * 4, fleet=fleet).batch.value
    strayed = float(np.abs(values).max())
    assert strayed < 5 * bound if bound < np.inf else strayed > 8


def test_a_level_shift_moves_one_parameter_by_its_size() -> None:
    """Only the named parameter moves, only within the label, by size × deviation."""
    change = run([fault(FaultKind.LEVEL_SHIFT, 5.0, quantity=0)]).batch.value - run([]).batch.value
    ts, _, _ = of_station(run([]), 1)
    moved = of_station(run([fault(FaultKind.LEVEL_SHIFT, 5.0, quantity=0)]), 1)[1] - of_station(run([]), 1)[1]
    np.testing.assert_allclose(moved[inside(ts), 0], 5.0 * FLEET.quantities[0].deviation, atol=0.011)
    assert np.count_nonzero(change) == inside(ts).sum()


def test_a_drift_grows_to_its_size() -> None:
    """Nothing at the start of the label, all of the size at its end."""
    drift = of_station(run([fault(FaultKind.DRIFT, 10.0, quantity=2)]), 1)[1] - of_station(run([]), 1)[1]
    grown = drift[inside(of_station(run([]), 1)[0]), 2]
    assert abs(grown[0]) < 1.0
    assert grown[-1] == pytest.approx(10.0 * FLEET.quantities[2].deviation, rel=0.03)


def test_a_stuck_parameter_keeps_its_first_value() -> None:
    """The value at the start of the label comes again and again."""
    ts, values, _ = of_station(run([fault(FaultKind.STUCK, quantity=1)]), 1)
    assert len(set(values[inside(ts), 1].tolist())) == 1
    assert len(set(values[inside(ts), 0].tolist())) > 10


def test_noise_is_amplified_by_its_size() -> None:
    """What deviates from the season deviates more."""
    ts, values, _ = of_station(run([fault(FaultKind.NOISE, 9.0, quantity=0)]), 1)
    assert np.diff(values[inside(ts), 0]).std() > 5 * np.diff(values[~inside(ts), 0]).std()


def test_silence_leaves_events_out() -> None:
    """No event of the label, all events of the rest."""
    ts, _, _ = of_station(run([fault(FaultKind.SILENCE)]), 1)
    assert not inside(ts).any()
    assert len(ts) == len(of_station(run([]), 1)[0]) - 60


def test_a_wrong_clock_changes_stamps_and_not_arrivals() -> None:
    """The events come when they come, but say another time."""
    wrong, right = of_station(run([fault(FaultKind.WRONG_CLOCK, 86_400.0)]), 1), of_station(run([]), 1)
    np.testing.assert_array_equal(wrong[2], right[2])
    assert sorted(set((wrong[0] - right[0]).tolist())) == [0, DAY_MS]


def test_late_events_come_after_newer_ones_and_none_is_lost() -> None:
    """The held-back share arrives when the fault is over, in any order with what came meanwhile."""
    late, right = of_station(run([fault(FaultKind.LATE, 0.5)]), 1), of_station(run([]), 1)
    assert sorted(late[0].tolist()) == right[0].tolist()
    held = late[2] - late[0] > 5_000
    assert 15 <= held.sum() <= 45
    assert late[2][held].min() >= START_MS + 120 * MINUTE_MS
    assert any(newer < older for older, newer in pairwise(late[0].tolist()))


def test_duplicates_are_the_same_event_again() -> None:
    """More events than before, but no new ones."""
    twice, once = of_station(run([fault(FaultKind.DUPLICATE, 0.5)]), 1), of_station(run([]), 1)
    rows = [(int(ts), *value) for ts, value in zip(twice[0], twice[1].tolist(), strict=True)]
    assert len(rows) > len(once[0]) + 10
    assert len(set(rows)) == len(once[0])


def test_reordered_deliveries_lose_nothing() -> None:
    """Stamps go back and forth, and all are there."""
    mixed, right = of_station(run([fault(FaultKind.REORDERED, 600.0)]), 1), of_station(run([]), 1)
    assert (np.diff(mixed[0]) < 0).any()
    assert sorted(mixed[0].tolist()) == right[0].tolist()


@given(seed=st.integers(0, 10_000), rate=st.floats(0.1, 60))
@settings(max_examples=30, deadline=None)
def test_planned_faults_lie_within_the_span_and_apart(seed: int, rate: float) -> None:
    """A label stands for one fault: no two of a station touch, and all are in the span asked for."""
    fleet = Fleet(stations=4, seed=seed)
    end_ms = START_MS + 10 * DAY_MS
    planned = plan_faults(fleet, list(FaultKind), START_MS, end_ms, per_station_month=rate)
    assert all(START_MS <= each.from_ms < each.to_ms <= end_ms for each in planned)
    for station in range(fleet.stations):
        spans = [(each.from_ms, each.to_ms) for each in planned if each.station == station]
        assert all(first[1] < second[0] for first, second in pairwise(spans))


def test_every_kind_asked_for_is_planned_where_there_is_room() -> None:
    """A rate too low for one of each still gives one of each."""
    planned = plan_faults(FLEET, list(FaultKind), START_MS, START_MS + 14 * DAY_MS, per_station_month=0.01)
    assert {each.kind for each in planned} == set(FaultKind)


def test_an_unknown_fault_is_named_with_those_that_exist() -> None:
    """The error says what may be written."""
    with pytest.raises(InvalidInputError, match=r"level_shift.*and all"):
        parse_kinds("spike,level-shift")


@pytest.mark.parametrize(
    "changes", [{"stations": 0}, {"interval_s": 0.5}, {"quantities": ()}, {"seed": -1}, {"jitter_s": -1.0}]
)
def test_a_fleet_that_makes_no_sense_is_refused(changes: dict[str, object]) -> None:
    """Wrong numbers are found when the fleet is described, with the field's name."""
    with pytest.raises(InvalidInputError):
        Fleet(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".ndjson"])
def test_files_hold_every_event_and_its_label(tmp_path: Path, suffix: str) -> None:
    """All formats hold the same rows, in order of arrival, and labels lie beside them."""
    path = tmp_path / f"fleet{suffix}"
    faults = [fault(FaultKind.LATE, 0.5)]
    simulator = Simulator(FLEET, faults, START_MS)
    count = write_events(path, simulator.chunks(START_MS + 60 * MINUTE_MS), FLEET.names, arrival=True)
    write_labels(labels_path(path), labels(FLEET, faults))
    whole = run(faults, minutes=60)
    table = _read(path)
    assert count == len(whole) == len(table)
    ts = table["ts"].dt.epoch("ms") if suffix == ".parquet" else table["ts"]
    assert ts.to_list() == whole.batch.ts.tolist()
    assert table["temperature"].to_list() == whole.batch.value[::3].tolist()
    assert _read(labels_path(path)).row(0, named=True) == {
        "device": "station-1",
        "parameter": "",
        "kind": "late",
        "from_ms": START_MS + 60 * MINUTE_MS,
        "to_ms": START_MS + 120 * MINUTE_MS,
    }


def test_a_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    """A run that breaks off leaves no file that looks finished."""

    def pieces() -> object:
        yield run([])
        raise RuntimeError("cut off")

    with pytest.raises(RuntimeError):
        write_events(tmp_path / "x.csv", pieces(), FLEET.names)  # type: ignore[arg-type]
    assert not (tmp_path / "x.csv").exists()


def test_a_live_fleet_has_a_fault_in_its_last_minutes_and_goes_on() -> None:
    """History ends now with the fault begun; then events arrive as the clock runs."""
    clock = ManualClock(START_MS)
    live = LiveFleet(Fleet(stations=3), clock.now_ms(), days=1.0)
    history = list(live.until(clock.now_ms()))
    assert sum(map(len, history)) == pytest.approx(3 * 1440, abs=6)
    assert live.fault.from_ms < START_MS < live.fault.to_ms
    present = [piece for minute in range(1, 6) for piece in live.until(START_MS + minute * MINUTE_MS)]
    assert sum(map(len, present)) == pytest.approx(15, abs=3)
    assert all(piece.arrival_ms.max() < START_MS + 5 * MINUTE_MS for piece in present)


@pytest.mark.parametrize("hour", range(24))
def test_the_shift_of_a_live_fleet_stands_out_at_every_hour_of_the_day(hour: int) -> None:
    """It leaves the range of the days before, night and day, by far more than the noise."""
    fleet = Fleet(stations=3)
    now_ms = START_MS + hour * 60 * MINUTE_MS
    live = LiveFleet(fleet, now_ms, days=2.0)
    station = live.fault.station
    ts, values, _ = of_station(next(live.until(now_ms)), station, fleet)
    temperature, shifted = values[:, 0], ts >= live.fault.from_ms
    before = temperature[~shifted]
    beyond = np.maximum(temperature - before.max(), before.min() - temperature)
    assert (beyond[shifted] > 6 * fleet.quantities[0].deviation).all()


def test_a_live_fleet_made_again_goes_on_where_it_stopped() -> None:
    """The same fleet and first moment give the same events, so a restart continues the same story."""
    stops_ms = range(START_MS, START_MS + 3 * DAY_MS, 40_000_000)
    first = LiveFleet(FLEET, START_MS, days=0.1)
    values = [piece.batch.value for stop_ms in stops_ms for piece in first.until(stop_ms)]
    again = LiveFleet(FLEET, START_MS, days=0.1)
    repeated = [piece.batch.value for piece in again.until(stops_ms[-2])]
    whole = np.concatenate(values)
    np.testing.assert_array_equal(np.concatenate(repeated), whole[: sum(map(len, repeated))])


def _read(path: Path) -> pl.DataFrame:
    readers = {".parquet": pl.read_parquet, ".csv": pl.read_csv, ".ndjson": pl.read_ndjson}
    frame: pl.DataFrame = readers[path.suffix](path)  # type: ignore[operator]
    return frame.with_columns(pl.col("parameter").fill_null("")) if "parameter" in frame.columns else frame
