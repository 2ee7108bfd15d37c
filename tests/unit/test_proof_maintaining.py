"""What a proof demands of maintenance that was answered: of a life, and of what a power cut leaves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proof.power.history import History
from proof.power.judging import Finding, Harm, judge_windows
from proof.power.views import LogView, WindowsView
from proof.subject.acting import Deed
from proof.subject.answers import Answers, BrokenPromiseError
from proof.subject.maintaining import check_kept
from proof.subject.promise import Promise
from tests.kit import log_of
from tocsin.control import MaintenanceSet

BEGUN, ENDED = Deed("pump-0/0", "once"), Deed("pump-0/0", "end")
SPANS = ((0, 1000),)


def life(ended_ms: int | None, *logged: tuple[tuple[int, int], ...]) -> Any:
    """An application that keeps one window, and whose lake has these spans of it."""
    records = log_of([window(spans) for spans in logged])
    kept = SimpleNamespace(id="mw_1", ended_ms=ended_ms)
    return SimpleNamespace(
        log=SimpleNamespace(partitions=1, end=lambda _: len(records)),
        lake=SimpleNamespace(records=lambda *_: records),
        services=SimpleNamespace(maintenance=SimpleNamespace(one=lambda *_: kept)),
    )


def window(spans: tuple[tuple[int, int], ...]) -> MaintenanceSet:
    return MaintenanceSet(
        tenant="t",
        window="mw_1",
        revision=1 if spans else 2,
        effective_ms=0,
        devices=("pump-0",),
        spans=spans,
        no_alert=True,
    )


def told(folder: Path) -> Answers:
    """A window was given, and ended at 7."""
    answers = Answers(folder / "answers")
    answers.note(BEGUN, '{"window": "mw_1", "ended_ms": null}')
    answers.note(ENDED, '{"window": "mw_1", "ended_ms": 7}')
    return answers


def test_a_window_that_was_answered_is_kept_and_logged(tmp_path: Path) -> None:
    """Logged twice is as good; who was told nothing is owed nothing."""
    answers = told(tmp_path)
    check_kept(life(7, SPANS, SPANS, ()), SimpleNamespace(), [BEGUN, ENDED], answers)  # type: ignore[arg-type]
    check_kept(life(None), SimpleNamespace(), [Deed("pump-1/0", "once")], answers)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("ended_ms", "logged"), [(7, ()), (7, (SPANS,)), (7, ((),)), (None, (SPANS, ())), (8, (SPANS, ()))]
)
def test_a_window_that_was_lost_or_goes_on_is_noticed(
    tmp_path: Path, ended_ms: int | None, logged: Sequence[tuple[tuple[int, int], ...]]
) -> None:
    """In the log or in the file that people read."""
    with pytest.raises(BrokenPromiseError):
        check_kept(life(ended_ms, *logged), SimpleNamespace(), [BEGUN, ENDED], told(tmp_path))  # type: ignore[arg-type]


def judged(end: int, revision: int, logged: int, *promised: int) -> list[Finding]:
    """What is wrong where the log ends there, and the file has this revision and notes that one."""
    history = History(
        records={},
        hashes={},
        totals={},
        findings={},
        answers={},
        letters={},
        partitions=1,
        windows={("mw_1", 1): (0, 4), ("mw_1", 2): (0, 9)},
    )
    windows = WindowsView(revisions={"mw_1": revision} if revision else {}, logged={"mw_1": logged})
    promises = [Promise(kind="window", name="mw_1", sequence=str(number)) for number in promised]
    return judge_windows(history, LogView(ends=(end,)), windows, promises)


def test_a_cut_may_leave_a_window_that_is_not_logged_yet() -> None:
    """Kept first, then logged, then noted, then told."""
    steps = [judged(4, 0, 0), judged(4, 1, 0), judged(5, 1, 0), judged(5, 1, 1), judged(5, 1, 1, 1)]
    steps += [judged(5, 2, 1, 1), judged(10, 2, 1, 1), judged(10, 2, 2, 1, 2)]
    assert not any(steps)
    assert judged(10, 2, 2, 1) == []  # ended before it was logged: the end alone may be there


@pytest.mark.parametrize(
    "left",
    [
        (5, 0, 0),  # logged, and nobody finds it
        (4, 1, 1),  # noted as logged, and it is not
        (4, 1, 0, 1),  # told, and it is not logged
        (4, 0, 0, 1),
        (10, 1, 1, 1),  # its end is logged, and it is not ended
        (9, 2, 1, 1, 2),  # its end was told, and it is not logged
    ],
)
def test_a_cut_that_leaves_less_has_lost_it(left: tuple[int, ...]) -> None:
    """Of what people were told, or of what holds."""
    assert {finding.harm for finding in judged(*left)} == {Harm.LOST}
