"""What a proof demands of feedback that was answered."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from proof.subject.acting import Deed, check_logged
from proof.subject.answers import Answers, BrokenPromiseError
from tests.kit import log_of
from tocsin.control import FeedbackGiven, FeedbackKind

SAID = Deed("an_1", "false_alarm")


def lake_with(*actions: int) -> Any:
    """An application whose lake has the feedback of these actions, and nothing else."""
    records = log_of([feedback(action) for action in actions])
    return SimpleNamespace(
        log=SimpleNamespace(partitions=1, end=lambda _: len(records)),
        lake=SimpleNamespace(records=lambda *_: records),
    )


def feedback(action: int) -> FeedbackGiven:
    return FeedbackGiven(
        tenant="t",
        device="a",
        kind=FeedbackKind.FALSE_ALARM,
        series=(),
        anomaly=SAID.producer,
        action=action,
        at_ms=0,
    )


def answers_in(folder: Path) -> Answers:
    """Feedback was answered as action 3."""
    answers = Answers(folder / "answers")
    answers.note(SAID, '{"action": 3, "done": []}')
    return answers


def test_feedback_that_was_answered_is_in_the_log_once(tmp_path: Path) -> None:
    """What nobody was answered may be there or not."""
    check_logged(lake_with(2, 3), [SAID, Deed("an_2", "false_alarm")], answers_in(tmp_path))


@pytest.mark.parametrize("actions", [(), (2,), (3, 3)])
def test_feedback_that_was_lost_or_doubled_is_noticed(tmp_path: Path, actions: Sequence[int]) -> None:
    """Somebody was told that it acts."""
    with pytest.raises(BrokenPromiseError):
        check_logged(lake_with(*actions), [SAID], answers_in(tmp_path))
