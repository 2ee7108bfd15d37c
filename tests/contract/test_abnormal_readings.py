"""What every store of abnormal readings promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.errors import CorruptError
from tocsin.scores.abstract import AbnormalReading, AbnormalReadings, Findings, Scored
from tocsin.scores.embedded import EmbeddedAbnormalReadings
from tocsin.storage.scripts import load_scripts

MINUTE_MS = 60_000
Opener = Callable[..., AbnormalReadings]


@pytest.fixture
def opener(tmp_path: Path) -> Iterator[Opener]:
    stores: list[AbnormalReadings] = []

    def open_store(name: str = "abnormal.db", readings_max: int = 1000) -> AbnormalReadings:
        stores.append(EmbeddedAbnormalReadings(tmp_path / name, readings_max=readings_max))
        return stores[-1]

    yield open_store
    for store in stores:
        store.close()


def reading(ts: int, **changed: object) -> AbnormalReading:
    base = AbnormalReading(
        tenant="a",
        application="",
        device="pump-7",
        parameter="temperature",
        ts=ts,
        value=93.2,
        expected=81.1,
        lower=70.0,
        upper=85.0,
        score=1.5,
        detector="seasonal",
        partition=0,
        offset=ts,
    )
    return msgspec.structs.replace(base, **changed)


def test_latest_are_the_newest_by_time(opener: Opener) -> None:
    """The list is ordered by time stamp, newest first, whatever the order of arrival."""
    store = opener()
    store.append([Findings(0, 3, [reading(5), reading(9), reading(7)])])
    assert [row.ts for row in store.latest("a", limit=2)] == [9, 7]


def test_repeated_findings_change_nothing(opener: Opener) -> None:
    """Appending the same position again, also after reopening, adds nothing."""
    found = Findings(2, 10, [reading(1), reading(2)])
    store = opener()
    store.append([found])
    store.append([found])
    store.close()
    again = opener()
    again.append([found])
    assert again.count("a", after_ms=0, through_ms=100) == 2
    assert again.positions() == {2: 10}


def test_scores_wait_until_they_are_forgotten(opener: Opener) -> None:
    """Scores come back in order, in pages, once per position; forgetting takes the oldest for good."""
    store = opener()
    parts = [Scored("a", bytes([number]) * 10) for number in range(5)]
    store.append([Findings(0, 5, scored=parts[:3])])
    store.append([Findings(0, 5, scored=parts[:3]), Findings(1, 9, scored=parts[3:])])
    waiting = store.scored(0, bytes_max=1 << 20)
    assert [(part.tenant, part.payload) for part in waiting] == [("a", part.payload) for part in parts]
    assert store.scored(waiting[1].sequence, bytes_max=15) == waiting[2:4]
    assert store.scored(waiting[3].sequence, bytes_max=1) == waiting[4:]
    store.forget_scored(waiting[1].sequence)
    store.close()
    assert opener().scored(0, bytes_max=1 << 20) == waiting[2:]


def test_sequences_of_scores_are_never_used_twice(opener: Opener) -> None:
    """After all is forgotten, also by a store that was made anew, later scores have higher sequences."""
    store = opener()
    store.append([Findings(0, 1, scored=[Scored("a", b"x")])])
    first = store.scored(0, bytes_max=1)[0].sequence
    store.forget_scored(first)
    store.append([Findings(0, 2, scored=[Scored("a", b"y")])])
    assert store.scored(0, bytes_max=1)[0].sequence > first
    anew = opener("anew.db")
    anew.forget_scored(70)
    anew.append([Findings(0, 1, scored=[Scored("a", b"z")])])
    assert anew.scored(0, bytes_max=1)[0].sequence > 70


def test_altered_scores_are_refused(opener: Opener, tmp_path: Path) -> None:
    """Scores that the disk has changed are named, by a check of the store too, and never reach the lake."""
    store = opener()
    store.append([Findings(0, 1, scored=[Scored("a", b"as given")])])
    connection = apsw.Connection(str(tmp_path / "abnormal.db"))
    connection.execute("UPDATE scored SET payload = x'00'")
    connection.close()
    with pytest.raises(CorruptError, match="scores 1"):
        store.scored(0, bytes_max=1)
    assert isinstance(store, EmbeddedAbnormalReadings)
    assert store.verify() == ["abnormal.db: scores 1 does not match its hash"]


def test_two_detectors_make_one_reading(opener: Opener) -> None:
    """A reading that two detectors call abnormal counts once, under the one with the higher score."""
    store = opener()
    both = [reading(1), reading(1, detector="health", score=4.0), reading(1, detector="x", score=2.0)]
    store.append([Findings(0, 1, both)])
    assert store.count("a", after_ms=0, through_ms=1) == 1
    assert [row.detector for row in store.latest("a")] == ["health"]


def test_correction_replaces_a_device(opener: Opener) -> None:
    """What was found for a corrected device before is forgotten; other devices keep theirs."""
    store = opener()
    store.append([Findings(0, 1, [reading(1), reading(2), reading(3, device="fan-1")])])
    store.append([Findings(0, 2, [reading(2)], corrected=[("a", "pump-7")])])
    assert [(row.device, row.ts) for row in store.latest("a")] == [("fan-1", 3), ("pump-7", 2)]
    assert store.count("a", after_ms=-1, through_ms=MINUTE_MS - 1) == 2


def test_tenants_do_not_see_each_other(opener: Opener) -> None:
    """Lists and counts of one tenant hold nothing of another."""
    store = opener()
    store.append([Findings(0, 1, [reading(1), reading(2, tenant="b")])])
    assert [row.ts for row in store.latest("b")] == [2]
    assert store.count("b", after_ms=0, through_ms=10) == 1


def test_missing_bands_come_back_missing(opener: Opener) -> None:
    """A detector without a band leaves None, not a number."""
    store = opener()
    store.append([Findings(0, 1, [reading(1, expected=None, lower=None, upper=None)])])
    row = store.latest("a")[0]
    assert (row.expected, row.lower, row.upper) == (None, None, None)


def test_memory_is_bounded_and_counts_outlive_readings(opener: Opener) -> None:
    """Beyond the bound the oldest readings go; minutes still count them."""
    store = opener(readings_max=100)
    for start in range(0, 400, 20):
        rows = [reading(at * MINUTE_MS) for at in range(start, start + 20)]
        store.append([Findings(0, start + 20, rows)])
    assert len(store.latest("a", limit=1000)) <= 120
    assert store.count("a", after_ms=-1, through_ms=400 * MINUTE_MS) == 400


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    stamps=st.sets(st.integers(-5 * MINUTE_MS, 5 * MINUTE_MS), max_size=40),
    after=st.integers(-6 * MINUTE_MS, 6 * MINUTE_MS),
    span=st.integers(-MINUTE_MS, 8 * MINUTE_MS),
)
def test_count_is_exact_to_the_millisecond(opener: Opener, stamps: set[int], after: int, span: int) -> None:
    """While readings are kept, the count equals the plain one for every span, also before 1970."""
    store = opener(f"count-{len(stamps)}-{after}-{span}-{hash(frozenset(stamps))}.db")
    positions = store.positions().get(0, 0)
    store.append([Findings(0, positions + 1, [reading(ts) for ts in stamps])])
    plain = sum(after < ts <= after + span for ts in stamps)
    assert store.count("a", after_ms=after, through_ms=after + span) == plain
    store.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    found=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(-3 * MINUTE_MS, 3 * MINUTE_MS)),
        max_size=30,
        unique=True,
    ),
    some=st.lists(st.sampled_from("abcd"), unique=True),
    after=st.integers(-4 * MINUTE_MS, 4 * MINUTE_MS),
    span=st.integers(0, 5 * MINUTE_MS),
)
def test_some_devices_have_their_part(
    tmp_path_factory: pytest.TempPathFactory,
    found: list[tuple[str, int]],
    some: list[str],
    after: int,
    span: int,
) -> None:
    """Count and newest readings of some devices are those that would be picked out of all."""
    store = EmbeddedAbnormalReadings(tmp_path_factory.mktemp("some") / "abnormal.db")
    store.append([Findings(0, 1, [reading(ts, device=device) for device, ts in found])])
    plain = sum(after < ts <= after + span and device in some for device, ts in found)
    assert store.count("a", after_ms=after, through_ms=after + span, devices=some) == plain
    stamps = sorted((ts for device, ts in found if device in some), reverse=True)
    assert [row.ts for row in store.latest("a", devices=some, limit=5)] == stamps[:5]
    assert store.latest("b", devices=some) == []
    store.close()


def test_migrations_make_the_schema() -> None:
    """Applying the migrations one by one gives the documented schema."""
    scripts = load_scripts("tocsin.scores", "abnormal")
    assert "".join(scripts.migrations) == scripts.schema
