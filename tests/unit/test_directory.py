"""The caching directory against every fault of its simulator, by seed, in simulated time."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.directory_kit import ONE_BY_ONE, SOFT_S, START_MS, simulated
from tocsin.directory.abstract import DirectoryError, Entry, Freshness
from tocsin.directory.allowance import Allowance
from tocsin.directory.answers import read_device, read_list
from tocsin.directory.breaker import FAILURES_MAX, Breaker
from tocsin.directory.cache import DirectoryCache
from tocsin.directory.limits import DirectoryLimits
from tocsin.errors import CorruptError
from tocsin.simulate.directory.faults import LIES, DirectoryFault, Trouble, always, outages

DAY_S = 86_400.0


@pytest.mark.parametrize("fault", sorted(DirectoryFault))
@pytest.mark.parametrize("seed", [1, 2])
def test_each_fault_passes(tmp_path: Path, fault: DirectoryFault, seed: int) -> None:
    """While a third of the answers has the fault nothing is refused; when it is over all is right again."""
    trouble = Trouble(faults=(fault,), share=0.33, slow_s=12.0)
    with simulated(tmp_path, seed=seed, moves_per_day=40, trouble=trouble) as world:
        for _ in world.steps(2 * 3600, 20):
            for technician in world.mapping.technicians:
                world.directory.devices_of(technician)
        world.service.trouble = Trouble()
        world.run(2 * SOFT_S if fault not in LIES else DAY_S / 2 + SOFT_S, 20)
        world.mapping._pause_ms = None
        world.run(SOFT_S + 60, 20)
        assert world.wrong() == []


@pytest.mark.parametrize("seed", range(4))
def test_a_move_is_visible_within_the_soft_limit(tmp_path: Path, seed: int) -> None:
    """From then on the device is on the new list and on no other."""
    with simulated(tmp_path, seed=seed) as world:
        world.run(SOFT_S * 2)
        rng = random.Random(seed)
        for _ in range(5):
            device, technician = world.mapping.some(rng)
            world.mapping.move(device, technician, world.clock.now_ms())
            world.run(SOFT_S)
            assert world.directory.ownership(device).technician == technician
            for each in world.mapping.technicians:
                listed = [found.device for found in world.directory.devices_of(each).devices]
                assert (device in listed) == (each == technician)


def test_nothing_ages_beyond_the_soft_limit_while_answers_come(tmp_path: Path) -> None:
    """Lists are asked for a little before they are stale, whatever the moment one looks."""
    with simulated(tmp_path, moves_per_day=20) as world:
        world.run(120)
        for _ in world.steps(3 * 3600):
            for technician in world.mapping.technicians:
                assert world.directory.devices_of(technician).freshness is Freshness.FRESH


def test_a_day_without_the_third_party_refuses_no_list(tmp_path: Path) -> None:
    """Every list is there with its age, the load falls to probes, and what moved is known soon after."""
    down = (START_MS + 3_600_000, START_MS + 3_600_000 + 86_400_000)
    with simulated(tmp_path, moves_per_day=10, trouble=outages([down])) as world:
        world.run(3600)
        before = world.requests
        for _ in world.steps(DAY_S, 30):
            for technician in world.mapping.technicians:
                assert world.directory.devices_of(technician).devices
        assert world.directory.devices_of(world.mapping.technicians[0]).freshness is Freshness.STALE
        probes = world.requests - before
        assert probes < DAY_S / 100  # a pause between two has five minutes at most, half of it by lot
        world.mapping._pause_ms = None
        world.run(SOFT_S, 5)
        assert world.wrong() == []


def test_requests_stay_within_the_allowance(tmp_path: Path) -> None:
    """Each technician with one device would take 96 requests a day; the allowance has the last word."""
    limits = DirectoryLimits(at_once=1, requests_per_day_min=0.0, requests_per_device_day=10.0)
    with simulated(tmp_path, technicians=40, limits=limits) as world:
        world.run(DAY_S, 60)
        assert world.requests <= 10 * len(world.names) + 20


def test_a_short_list_takes_no_device_from_anybody(tmp_path: Path) -> None:
    """Who is missing on a list is asked about before that is believed."""
    with simulated(tmp_path) as world:
        world.run(60)
        world.service.trouble = always(DirectoryFault.SHORT)
        for _ in world.steps(4 * SOFT_S):
            assert world.wrong() == []


def test_wishes_of_people_bring_a_technician_forward(tmp_path: Path) -> None:
    """One who was never heard of is asked about at once, and is forgotten when there is none."""
    limits = DirectoryLimits(at_once=1, wanted_max=3)
    with simulated(tmp_path, limits=limits) as world:
        world.names.clear()
        technician = world.mapping.technicians[0]
        assert world.directory.devices_of(technician).freshness is Freshness.UNKNOWN
        for number in range(10):
            world.directory.devices_of(f"00000000-0000-4000-8000-{number:012}")
        world.directory.devices_of("no guid")
        world.directory.round()
        assert world.directory.devices_of(technician).freshness is Freshness.FRESH
        assert world.requests == 3
        assert world.outcomes == {"answered": 1, "missing": 2}


def test_what_is_known_survives_a_restart(tmp_path: Path) -> None:
    """Nothing is asked again before its time."""
    with simulated(tmp_path) as world:
        world.run(60)
    with simulated(tmp_path, trouble=always(DirectoryFault.ERROR)) as again:
        again.clock.sleep(61)
        assert again.wrong() == []
        again.directory.round()
        assert again.requests == 0


def test_an_altered_row_is_corrupt(tmp_path: Path) -> None:
    """A name that the disk has changed is not told; doctor names the file."""
    with simulated(tmp_path, devices=1, technicians=1) as world:
        world.run(60)
        technician = world.mapping.technicians[0]
    path = tmp_path / "directory.db"
    path.write_bytes(path.read_bytes().replace(b"site-001", b"site-009"))
    cache = DirectoryCache(path, rows_max=10)
    with pytest.raises(CorruptError, match=r"directory\.db"):
        cache.devices_of(technician, "", 0, 10)
    assert cache.verify()
    cache.close()


def test_rows_are_bounded(tmp_path: Path) -> None:
    """A third party that lists devices without end fills no disk."""
    cache = DirectoryCache(tmp_path / "directory.db", rows_max=10)
    cache.see([f"pump-{number}" for number in range(20)], START_MS)
    assert cache.counts().seen == 10
    cache.close()


def test_what_is_known_takes_no_room_from_what_is_new(tmp_path: Path) -> None:
    """Every row may be used, and a device that a list has brought is known to have sent something."""
    cache = DirectoryCache(tmp_path / "directory.db", rows_max=10)
    names = [f"pump-{number}" for number in range(12)]
    cache.keep_list("t", [Entry(names[0], "t", None)], START_MS, START_MS, START_MS)
    cache.see(names[:8], START_MS)
    assert cache.counts().seen == 8
    cache.see(names, START_MS)
    assert (cache.counts().seen, cache.counts().devices) == (10, 10)
    cache.close()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Whatever the third party sends, it is entries or a DirectoryError."""
    for read in (read_list, read_device):
        try:
            read("pump-7", body)
        except DirectoryError:
            continue


def test_a_list_that_is_cut_anywhere_is_none() -> None:
    """Only its line ends are places where nobody can tell, and there the bytes promised are missing."""
    body = b'{"deviceId":"a","location":"x"}\n{"deviceId":"b","location":null}\n'
    assert len(read_list("t", body)) == 2
    for end in range(1, len(body)):
        if body[end - 1 : end] != b"\n":
            with pytest.raises(DirectoryError):
                read_list("t", body[:end])


def test_the_breaker_lets_one_probe_through() -> None:
    """After some failures nobody asks until a pause is over, then one; the pauses grow to five minutes."""
    breaker, now_s = Breaker(random.Random(1)), 0.0
    for _ in range(FAILURES_MAX):
        assert breaker.places(now_s, 8) == 8
        breaker.fail(now_s)
    for _ in range(20):
        assert breaker.places(now_s, 8) == 0
        now_s += 300
        assert breaker.places(now_s, 8) == 1
        breaker.fail(now_s)
    breaker.succeed()
    assert breaker.places(now_s, 8) == 8
    breaker.fail(now_s, retry_after_s=1000)
    assert breaker.places(now_s + 999, 8) == 0


def test_questions_that_fail_together_make_one_pause() -> None:
    """Those that were on their way when the pause began were no probes, and do not make it longer."""
    together, alone = Breaker(random.Random(1)), Breaker(random.Random(1))
    for _ in range(FAILURES_MAX + 20):
        together.fail(0.0)
    for _ in range(FAILURES_MAX):
        alone.fail(0.0)
    assert together.places(2.0, 8) == alone.places(2.0, 8) == 1
    together.fail(2.0)
    alone.fail(2.0)
    assert [together.places(2.0 + s, 8) for s in range(5)] == [alone.places(2.0 + s, 8) for s in range(5)]
    together.fail(2.5, retry_after_s=1000)
    assert together.places(1000, 8) == 0


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(0, 3600)), max_size=50))
def test_the_allowance_holds_over_any_time(steps: list[tuple[int, float]]) -> None:
    """However requests bunch, no more are sent than the rate allows beside what was saved."""
    allowance, now_s, taken = Allowance(2.0, 0.0, 0.0), 0.0, 0
    for wanted, passes_s in steps:
        now_s += passes_s
        allowance.fill(1000, now_s)
        taken += sum(allowance.take() for _ in range(wanted))
    assert taken <= 2000 * now_s / DAY_S + 2000 * 900 / DAY_S + 41


def test_the_default_limits_are_those_of_the_tests() -> None:
    """A quarter of an hour, as promised."""
    assert ONE_BY_ONE.soft_s == SOFT_S


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_two_requests_a_device_and_day_show_moves_within_the_soft_limit(tmp_path: Path, seed: int) -> None:
    """With 50 devices a technician, on the first day, which has to find them all, and on the next."""
    limits = DirectoryLimits(at_once=1, requests_per_day_min=0.0)
    with simulated(tmp_path, devices=400, technicians=8, seed=seed, moves_per_day=8, limits=limits) as world:
        for _ in range(2):
            before = world.requests
            pending: dict[str, int] = {}
            seen = len(world.mapping.moves)
            for _ in world.steps(DAY_S):
                world.mapping.advance(world.clock.now_ms())
                pending |= {device: at_ms for at_ms, device, _ in world.mapping.moves[seen:]}
                seen = len(world.mapping.moves)
                for device, at_ms in list(pending.items()):
                    if world.directory.ownership(device).technician == world.mapping.owner(device):
                        del pending[device]
                    else:
                        assert world.clock.now_ms() - at_ms <= SOFT_S * 1000
            assert world.requests - before <= 2 * len(world.names)


def test_a_device_that_the_directory_denies_is_kept_if_it_has_sent_something(tmp_path: Path) -> None:
    """It is asked about again; of one that only a list had named nothing is left."""
    cache = DirectoryCache(tmp_path / "directory.db", rows_max=10)
    technician = "6f9619ff-8b86-4011-b42d-00c04fc964ff"
    cache.see(["sends"], 0)
    entries = [Entry(name, technician, "hall") for name in ("named", "sends")]
    cache.keep_list(technician, entries, 1_000, 9_000, 9_000)
    for name in ("named", "sends"):
        cache.forget_device(name, 2_000, 5_000)
    assert cache.device("named") is None
    kept = cache.device("sends")
    assert kept is not None
    assert (kept.technician, kept.location) == (None, None)
    assert [due.id for due in cache.due(5_000, 10)] == ["sends"]
    cache.close()
