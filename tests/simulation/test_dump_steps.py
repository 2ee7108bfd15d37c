"""A law of dump steps: whatever fails, comes late or is restarted, the end is that of the calm run."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.dump_detector_kit import install
from tests.dump_steps_kit import Bench, module
from tocsin.commit.abstract import DumpKind
from tocsin.commit.dump_steps import BEFORE_ALL
from tocsin.control import DumpDetectorRule
from tocsin.dump_detectors.steps import FailureKind, StepFailed, Task
from tocsin.runtimes.embedded.dump_snapshots import BLOCKS

TEXTS = ("", "fault door", "fault belt", "fault door\nfault belt", "info", "calm door", "alarm door")
TAKEN_BACK_AND_BROUGHT_AGAIN = ["info", "info", "calm door", "alarm door", "fault door", "info"]
DEVICES = ("a", "b")


@pytest.fixture(autouse=True)
def detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "counting_kit", raising=False)
    install(tmp_path, monkeypatch, module())


def standings(bench: Bench) -> dict[str, tuple[str, bytes | None, list[int]]]:
    """Where the detector ends with each device: sum, state, and the dumps judged."""
    return {
        device: (bench.standing(device).digest, bench.standing(device).state, bench.judged(device))
        for device in DEVICES
    }


def spans(bench: Bench) -> list[tuple[str, str, int, int | None, str]]:
    """What people see of what was found, without ids."""
    found = [
        (each.device, each.parameter, each.started_ms, each.end_ms, each.explanation)
        for device in DEVICES
        for each in bench.episodes(device)
        if each.detector == "counting" and not each.retracted
    ]
    return sorted(found, key=str)


@settings(max_examples=25, deadline=None)
@given(
    texts=st.lists(st.sampled_from(TEXTS), min_size=2, max_size=9),
    late=st.sets(st.integers(2, 8), max_size=3),
    seed=st.integers(0, 1 << 32),
    blocks=st.sampled_from([(), (1, 3), (2, 4), BLOCKS]),
)
def test_trouble_leaves_no_trace(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str],
    late: set[int],
    seed: int,
    blocks: tuple[int, ...],
) -> None:
    """Digest, state, judged dumps and episodes are those of the run in order without any failure."""
    calm = Bench(tmp_path_factory.mktemp("calm"))
    for device in DEVICES:
        calm.free(*(calm.dump(number, text, device) for number, text in enumerate(texts, start=1)))
    calm.settle()

    rng = random.Random(seed)
    bench = Bench(tmp_path_factory.mktemp("troubled"), snapshot_blocks=blocks)
    trouble = [rng.random() < 0.5]

    def fails(task: Task) -> StepFailed | None:
        if not trouble[0] or rng.random() < 0.7:
            return None
        return StepFailed(kind=rng.choice(list(FailureKind)), detail="trouble")

    bench.fails = fails
    late = {number for number in late if number < len(texts)}  # a gap ends with a dump behind it
    for device in DEVICES:
        for number, text in enumerate(texts, start=1):
            if number not in late:
                bench.free(bench.dump(number, text, device))
            if rng.random() < 0.3:
                bench.stepping.round()
            if rng.random() < 0.2:
                bench.begin()
    bench.settle()
    for device in DEVICES:
        for number in rng.sample(sorted(late), len(late)):
            bench.free(bench.dump(number, texts[number - 1], device), kind=DumpKind.AFTER_GAP)
            if rng.random() < 0.5:
                bench.settle()
    bench.settle()
    trouble[0] = False
    for device in DEVICES:
        bench.release(device)
    bench.settle()
    found, expected = (standings(bench), spans(bench)), (standings(calm), spans(calm))
    bench.close()
    calm.close()
    assert found == expected


def told(bench: Bench) -> tuple[object, ...]:
    """Standing, all revisions of findings and of episodes: everything that was said, and when anew."""
    steps, device = bench.store.steps, DEVICES[0]
    standing = msgspec.structs.replace(bench.standing(device), revision=0)
    places = [judged.place for judged in steps.judged("t", device, "counting", BEFORE_ALL, limit=1_000)]
    revisions = [steps.revisions("t", device, "counting", place) for place in places]
    episodes = [msgspec.json.encode(each) for each in bench.episodes(device)]
    return standing, revisions, episodes


@settings(max_examples=25, deadline=None)
@given(
    texts=st.lists(st.sampled_from(TEXTS), min_size=3, max_size=14),
    late=st.lists(st.integers(2, 13), unique=True, max_size=4),
    again=st.integers(0, 14),
    blocks=st.sampled_from([(1,), (1, 3), (2, 4), (3,)]),
)
@example(texts=["info"] * 6, late=[5], again=3, blocks=(1,))
@example(texts=TAKEN_BACK_AND_BROUGHT_AGAIN, late=[3, 4], again=0, blocks=(1, 3))
def test_a_correction_from_a_snapshot_says_what_one_from_the_first_dump_does(
    tmp_path_factory: pytest.TempPathFactory,
    texts: list[str],
    late: list[int],
    again: int,
    blocks: tuple[int, ...],
) -> None:
    """Bit by bit, revisions included; also with another configuration from dump `again` on."""
    late = [number for number in late if number < len(texts)]
    benches = [Bench(tmp_path_factory.mktemp("run"), snapshot_blocks=sizes) for sizes in (blocks, ())]
    for bench in benches:
        for number, text in enumerate(texts, start=1):
            if number == again:
                bench.rules["counting"] = DumpDetectorRule(version="1", config={"add": 1})
            if number not in late:
                bench.free(bench.dump(number, text, "a"))
                bench.settle()
        for number in late:
            bench.free(bench.dump(number, texts[number - 1], "a"), kind=DumpKind.AFTER_GAP)
            bench.settle()
    found = [told(bench) for bench in benches]
    shown = [len(bench.shown) for bench in benches]
    for bench in benches:
        bench.close()
    assert found[0] == found[1]
    assert shown[0] <= shown[1]


def test_a_correction_by_another_version_says_so_of_every_dump_that_it_showed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also of those in which it finds the same: so that the next one goes on from what that version kept."""
    bench = Bench(tmp_path)
    bench.free(*(bench.dump(number, "info") for number in (1, 2, 4)))
    bench.settle()
    (tmp_path / "second").mkdir()
    install(tmp_path / "second", monkeypatch, module("2", reads=["1"]))
    bench.rules["counting"] = DumpDetectorRule(version="2")
    bench.begin()
    bench.free(bench.dump(3, "info"), kind=DumpKind.AFTER_GAP)
    bench.settle()
    found = [
        [each.version for each in bench.store.steps.revisions("t", "press-3", "counting", (0, number))]
        for number in (1, 2, 3, 4)
    ]
    bench.close()
    assert found == [["1", "2"], ["1", "2"], ["2"], ["1", "2"]]
