"""Dumps shown to a detector in order: what is found, what stops it, what lets it go on."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import apsw
import msgspec
import pytest
from structlog.testing import capture_logs

from tests.dump_detector_kit import install
from tests.dump_steps_kit import DETECTOR, Bench, module
from tocsin.commit.abstract import DumpKind
from tocsin.commit.dump_steps import BEFORE_ALL, JudgedDump
from tocsin.control import DumpDetectorRule
from tocsin.dump_detectors.steps import FailureKind, StepFailed, Task
from tocsin.errors import CorruptError


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    install_version(tmp_path, monkeypatch, "1")
    made = Bench(tmp_path)
    yield made
    made.close()


def install_version(
    folder: Path, monkeypatch: pytest.MonkeyPatch, version: str, reads: tuple[str, ...] = ()
) -> None:
    """Have this version of the detector installed, in place of another one."""
    below = folder / f"version-{version}"
    below.mkdir()
    sys.modules.pop("counting_kit", None)
    monkeypatch.delitem(sys.modules, "counting_kit", raising=False)
    install(below, monkeypatch, module(version, reads))


def failing(bench: Bench, sequence: int, kind: FailureKind, times: int = 1_000) -> list[int]:
    """Let steps with this dump fail, so many times; the list grows with each."""
    failed: list[int] = []

    def fails(task: Task) -> StepFailed | None:
        if task.dump.sequence != sequence or len(failed) >= times:
            return None
        failed.append(sequence)
        return StepFailed(kind=kind, detail="told to")

    bench.fails = fails
    return failed


def calm_digest(bench: Bench, texts: dict[int, str]) -> str:
    """The sum that the same dumps give when they come in order and nothing fails."""
    folder = bench.folder / "calm"
    folder.mkdir()
    calm = Bench(folder)
    calm.free(*(calm.dump(number, text) for number, text in sorted(texts.items())))
    calm.settle()
    digest = calm.standing().digest
    calm.close()
    return digest


def test_each_step_that_fails_is_in_the_log_with_its_dump(bench: Bench) -> None:
    """Also one that goes well when it is tried again, which no episode tells of."""
    failing(bench, 2, FailureKind.CRASH, times=2)
    bench.free(*(bench.dump(number) for number in (1, 2, 3)))
    with capture_logs() as told:
        bench.settle()
    said = [each for each in told if each["event"] == "step_failed"]
    assert [(each["kind"], each["device"], each["sequence"], each["detector"]) for each in said] == [
        (FailureKind.CRASH, "press-3", 2, DETECTOR)
    ] * 2


def test_findings_of_successive_dumps_are_one_episode(bench: Bench) -> None:
    """It lasts while dumps show it and ends with the first that does not; another key is another episode."""
    texts = ["", "fault door", "fault door", "", "fault door\nfault belt"]
    bench.free(*(bench.dump(number, text) for number, text in enumerate(texts, start=1)))
    bench.settle()
    door, again, belt = sorted(bench.episodes(), key=lambda episode: (episode.started_ms, episode.score))[:3]
    found = {(each.started_ms, each.end_ms is None, each.readings) for each in (door, again, belt)}
    first, fifth = 1_700_000_000_000 + 2 * 60_000, 1_700_000_000_000 + 5 * 60_000
    assert found == {(first, False, 2), (fifth, True, 1)}
    assert len(bench.episodes()) == 3
    ended = next(each for each in bench.episodes() if each.end_ms is not None)
    assert (ended.parameter, ended.reason, ended.detector) == ("engine", "fault", "counting")
    assert ended.explanation.endswith("in 2 dumps for 2 minutes, up to dump 3")
    proved = bench.store.episode("t", ended.id)
    assert proved is not None
    assert proved.evidence is not None
    assert proved.evidence.dumps is not None
    assert (proved.evidence.dumps.first.sequence, proved.evidence.dumps.last.sequence) == (2, 3)


def test_a_device_has_one_step_at_a_time_in_strict_order(bench: Bench) -> None:
    """However many workers there are, and with other devices' dumps in between."""
    for number in range(1, 6):
        bench.free(*(bench.dump(number, device=device) for device in ("a", "b", "c")))
    bench.settle()
    for device in ("a", "b", "c"):
        assert [number for name, number in bench.shown if name == device] == [1, 2, 3, 4, 5]


def test_a_restart_goes_on_behind_the_last_committed_step(bench: Bench) -> None:
    """Only a step that was under way is done again, and the sums are those without a restart."""
    bench.free(*(bench.dump(number, "fault x") for number in range(1, 7)))
    for _ in range(2):
        bench.stepping.round()
    bench.begin()
    bench.settle()
    assert [number for _, number in bench.shown] == [1, 2, 2, 3, 4, 5, 6]
    assert bench.judged() == [1, 2, 3, 4, 5, 6]
    assert bench.standing().digest == calm_digest(bench, dict.fromkeys(range(1, 7), "fault x"))


@pytest.mark.parametrize("times", [1, 3])
def test_what_may_go_away_is_tried_again(bench: Bench, times: int) -> None:
    """Up to three times more, after rests; then all is as if nothing had been."""
    failed = failing(bench, 2, FailureKind.CRASH, times)
    bench.free(*(bench.dump(number, "fault x") for number in (1, 2, 3)))
    bench.settle()
    assert len(failed) == times
    assert bench.judged() == [1, 2, 3]
    assert bench.decided == []


def test_what_fails_for_good_stops_its_device_alone(bench: Bench) -> None:
    """The decision is logged, an operational episode tells, later dumps are kept, other devices go on."""
    failed = failing(bench, 2, FailureKind.HANG)
    bench.free(*(bench.dump(number) for number in (1, 2, 3)))
    bench.free(*(bench.dump(number, device="other") for number in (1, 3)))
    bench.settle()
    assert len(failed) == 4
    (decided,) = bench.decided
    assert (decided.device, decided.sequence, decided.kind, decided.version) == ("press-3", 2, "hang", "1")
    assert bench.judged() == [1]
    assert bench.judged("other") == [1, 3]
    (episode,) = bench.episodes()
    assert (episode.detector, episode.end_ms) == ("dump_detectors", None)
    assert "counting 1 has stopped at dump 2" in episode.explanation


def test_an_error_is_not_tried_again(bench: Bench) -> None:
    """The same dump would raise the same."""
    bench.free(bench.dump(1), bench.dump(2, "raise"), bench.dump(3))
    bench.settle()
    assert [number for _, number in bench.shown] == [1, 2]
    assert bench.decided[0].kind == "error"


def test_a_released_device_goes_on_where_it_stopped(bench: Bench) -> None:
    """With the dump that failed and all after it, in order; the sums are those without a failure."""
    failing(bench, 2, FailureKind.MEMORY, times=4)
    texts = {number: "fault x" if number % 2 else "" for number in range(1, 6)}
    bench.free(*(bench.dump(number, text) for number, text in texts.items()))
    bench.settle()
    assert bench.judged() == [1]
    bench.release()
    bench.settle()
    assert bench.judged() == [1, 2, 3, 4, 5]
    operational = [each for each in bench.episodes() if each.detector == "dump_detectors"]
    assert [each.end_ms is None for each in operational] == [False]
    assert bench.standing().digest == calm_digest(bench, texts)


def test_a_release_without_a_stop_changes_nothing(bench: Bench) -> None:
    """A device that was quarantined for its readings has no turn."""
    bench.free(bench.dump(1))
    bench.settle()
    bench.release()
    assert bench.store.steps.waiting() == 0


def test_a_new_version_migrates_at_a_dump_boundary(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dumps before are not shown again; what is known is taken along."""
    bench.free(*(bench.dump(number, "fault x") for number in (1, 2)))
    bench.settle()
    before = bench.standing()
    install_version(tmp_path, monkeypatch, "2", reads=("1",))
    bench.rules["counting"] = DumpDetectorRule(version="2")
    bench.begin()
    bench.free(bench.dump(3, "fault x"))
    bench.settle()
    assert [number for _, number in bench.shown] == [1, 2, 3]
    after = bench.standing()
    assert (before.version, after.version) == ("1", "2")
    assert after.state is not None
    assert after.state.endswith(b"3]")


def test_a_version_that_cannot_migrate_is_shown_all_dumps_again(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To know what it must; what the version before has said of them stays."""
    bench.free(*(bench.dump(number, "fault x") for number in (1, 2)))
    bench.settle()
    said = [bench.store.steps.revisions("t", "press-3", "counting", (0, number)) for number in (1, 2)]
    install_version(tmp_path, monkeypatch, "2")
    bench.rules["counting"] = DumpDetectorRule(version="2")
    bench.begin()
    bench.free(bench.dump(3, "fault x"))
    bench.settle()
    assert [number for _, number in bench.shown] == [1, 2, 3, 1, 2, 3]
    assert said == [bench.store.steps.revisions("t", "press-3", "counting", (0, number)) for number in (1, 2)]
    state = bench.standing().state
    assert state is not None
    assert state.endswith(b"3]")


def test_a_new_version_goes_on_where_the_one_before_has_stopped(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the next dump, and nobody has to release the device."""
    failing(bench, 2, FailureKind.REFUSED, times=1)
    bench.free(*(bench.dump(number) for number in (1, 2, 3)))
    bench.settle()
    assert bench.judged() == [1]
    install_version(tmp_path, monkeypatch, "2", reads=("1",))
    bench.rules["counting"] = DumpDetectorRule(version="2")
    bench.begin()
    bench.free(bench.dump(4))
    bench.settle()
    assert bench.judged() == [1, 2, 3, 4]
    assert all(each.end_ms is not None for each in bench.episodes())


def test_a_late_dump_is_taken_in_by_a_correction(bench: Bench) -> None:
    """It is judged in its place, and all behind it again, from the state kept behind the dump before it; what
    was said before is kept as earlier revisions.
    """
    bench.free(*(bench.dump(number, "fault x") for number in (1, 3, 4)))
    bench.settle()
    bench.free(bench.dump(2), kind=DumpKind.AFTER_GAP)
    bench.settle()
    assert [number for _, number in bench.shown] == [1, 3, 4, 2, 3, 4]
    assert bench.judged() == [1, 2, 3, 4]
    revisions = [
        len(bench.store.steps.revisions("t", "press-3", "counting", (0, number))) for number in (1, 2, 3, 4)
    ]
    assert revisions == [1, 1, 2, 2]
    spans = [(each.retracted, each.end_ms is None, each.readings) for each in bench.episodes()]
    assert spans == [(False, False, 1), (False, True, 2)]
    assert bench.episodes()[0].revision == 1


def test_a_correction_keeps_the_configuration_that_it_judged_by(bench: Bench) -> None:
    """Of every dump that it showed again, also where nothing else was found; so a proof shows them so."""
    bench.free(bench.dump(1), bench.dump(3))
    bench.settle()
    assert {judged.config for judged in _all_judged(bench)} == {b"{}"}
    bench.rules[DETECTOR] = DumpDetectorRule(version="1", config={"add": 1})
    bench.free(bench.dump(2), kind=DumpKind.AFTER_GAP)
    bench.settle()
    found = _all_judged(bench)
    assert [(judged.sequence, judged.revision) for judged in found] == [(1, 1), (2, 0), (3, 1)]
    assert {judged.config for judged in found} == {b'{"add":1}'}


def test_a_correction_by_a_new_version_is_gone_on_from_by_the_next(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every dump that it showed again is judged by that version, also where it found the same as before."""
    bench.free(*(bench.dump(number) for number in (1, 3, 5)))
    bench.settle()
    install_version(tmp_path, monkeypatch, "2")
    bench.rules[DETECTOR] = DumpDetectorRule(version="2")
    bench.begin()
    bench.free(bench.dump(2), kind=DumpKind.AFTER_GAP)
    bench.settle()
    found = _all_judged(bench)
    assert [(each.sequence, each.version, each.revision) for each in found] == [
        (1, "2", 1), (2, "2", 0), (3, "2", 1), (5, "2", 1),
    ]  # fmt: skip
    del bench.shown[:]
    bench.free(bench.dump(4), kind=DumpKind.AFTER_GAP)
    bench.settle()
    assert [number for _, number in bench.shown] == [2, 3, 4, 5]


def _all_judged(bench: Bench) -> list[JudgedDump]:
    return bench.store.steps.judged("t", "press-3", DETECTOR, BEFORE_ALL)


def test_a_late_dump_of_a_stopped_detector_is_taken_in_when_it_goes_on(bench: Bench) -> None:
    """It is not forgotten, and the sums are those of the right order."""
    failing(bench, 4, FailureKind.ERROR, times=1)
    bench.free(*(bench.dump(number, "fault x") for number in (1, 3, 4, 5)))
    bench.settle()
    bench.free(bench.dump(2, "fault x"), kind=DumpKind.AFTER_GAP)
    bench.settle()
    assert bench.judged() == [1, 3]
    bench.release()
    bench.settle()
    assert bench.judged() == [1, 2, 3, 4, 5]
    assert bench.standing().digest == calm_digest(bench, dict.fromkeys(range(1, 6), "fault x"))


def test_a_late_dump_before_the_first_of_a_stopped_detector_is_not_forgotten(bench: Bench) -> None:
    """As it would not be, had the detector gone on."""
    failing(bench, 4, FailureKind.ERROR, times=1)
    bench.free(*(bench.dump(number, "fault x") for number in (4, 5)))
    bench.settle()
    bench.free(bench.dump(3, "fault x"), kind=DumpKind.AFTER_GAP)
    bench.settle()
    bench.release()
    bench.settle()
    assert bench.judged() == [3, 4, 5]
    assert bench.standing().digest == calm_digest(bench, dict.fromkeys((3, 4, 5), "fault x"))


@pytest.mark.parametrize("foreign", [2, 3])
def test_late_dumps_of_another_application_are_not_taken_in(bench: Bench, foreign: int) -> None:
    """Those of its own are, though they came with others, and whichever came first."""
    bench.rules["counting"] = DumpDetectorRule(version="1", application="presses")
    bench.free(bench.dump(1), bench.dump(4))
    bench.settle()
    late = [bench.dump(number) for number in (2, 3)]
    late[foreign - 2] = msgspec.structs.replace(late[foreign - 2], application="lathes")
    bench.free(*late, kind=DumpKind.AFTER_GAP)
    bench.settle()
    assert bench.judged() == sorted({1, 2, 3, 4} - {foreign})


def test_dumps_of_another_application_are_not_shown(bench: Bench) -> None:
    """They are dealt with; those of its own are."""
    bench.rules["counting"] = DumpDetectorRule(version="1", application="pumps")
    bench.free(bench.dump(1))
    bench.settle()
    assert bench.shown == []
    assert [each.sequence for each in bench.store.steps.dealt("t", "press-3", (-1, 0))] == [1]


def test_a_device_whose_state_was_altered_is_set_aside(bench: Bench) -> None:
    """Nobody goes on from a state that a disk changed; other devices are served, and the check names it."""
    bench.free(bench.dump(1), bench.dump(1, device="other"))
    bench.settle()
    with apsw.Connection(str(bench.folder / "commit.db")) as connection:
        connection.execute("UPDATE dump_steps SET state = x'00' WHERE device = 'press-3'")
    bench.free(bench.dump(2), bench.dump(2, device="other"), bench.dump(3, device="other"))
    for _ in range(10):
        bench.stepping.round()
        bench.clock.sleep(1)
    assert bench.judged("other") == [1, 2, 3]
    assert bench.judged() == [1]
    (problem,) = bench.store.verify()
    assert "the state of counting for device press-3" in problem


def test_altered_findings_are_named(bench: Bench) -> None:
    """So that nobody is told of what was not found."""
    bench.free(bench.dump(1, "fault door"))
    bench.settle()
    with apsw.Connection(str(bench.folder / "commit.db")) as connection:
        connection.execute("UPDATE findings SET judged = CAST(replace(judged, 'door', 'roof') AS BLOB)")
    with pytest.raises(CorruptError):
        bench.judged()
    assert len(bench.store.verify()) == 1
