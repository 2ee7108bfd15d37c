"""Proofs of what came of dumps, asked for one by one and together."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import cast

import msgspec
import pytest

from tests.dump_detector_kit import install
from tests.dump_steps_kit import Bench, PlainStepper, module
from tocsin.dump_detectors.steps import FailureKind, StepFailed, Task
from tocsin.lake.abstract import Lake
from tocsin.log.abstract import Log
from tocsin.processing.proof import Proof
from tocsin.runtimes.embedded.dump_archives import Archives
from tocsin.runtimes.embedded.dump_proofs import Claim, DumpProofs

DEVICES = ("a", "b")
TEXTS = ("fault belt", "", "fault door", "fault door", "", "fault belt", "info")


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Two devices with three faults each."""
    monkeypatch.delitem(sys.modules, "counting_kit", raising=False)
    install(tmp_path, monkeypatch, module())
    bench = Bench(tmp_path)
    for device in DEVICES:
        bench.free(*(bench.dump(number, text, device) for number, text in enumerate(TEXTS, start=1)))
    bench.settle()
    return bench


def proofs(bench: Bench, fails: Callable[[Task], StepFailed | None]) -> DumpProofs:
    """Of the bench's dumps, by a stepper that asks `fails` first; no episode here is of a decision."""
    return DumpProofs(
        bench.store.steps,
        Archives(lambda sha256: bench.folder / f"{sha256}.zip"),
        lambda: PlainStepper(fails),
        lambda _: bench.rules,
        cast("Log", None),
        cast("Lake", None),
    )


def claims(bench: Bench) -> list[Claim]:
    """All episodes, those of the devices by turns and the oldest last."""
    found = [each.id for pair in zip(*map(bench.episodes, DEVICES), strict=True) for each in pair]
    made = []
    for key in reversed(found):
        episode = bench.store.episode("t", key)
        assert episode is not None
        assert episode.evidence is not None
        assert episode.evidence.dumps is not None
        made.append(Claim(episode, episode.evidence, episode.evidence.dumps))
    return made


def test_together_they_are_what_each_is_alone_and_no_dump_is_shown_twice(bench: Bench) -> None:
    """One walk over a device's dumps proves all its episodes, each by the dumps that it needs."""
    shown: list[tuple[str, int]] = []
    wanted = claims(bench)
    assert len(wanted) == 6
    alone = [proofs(bench, lambda _: None).prove([claim])[0] for claim in wanted]
    assert [proof.matches for proof in alone] == [True] * 6
    assert {proof.readings for proof in alone} == {2, 5, 7}

    def watched(task: Task) -> StepFailed | None:
        shown.append((task.device, task.dump.sequence))
        return None

    assert proofs(bench, watched).prove(wanted) == alone
    assert sorted(shown) == [(device, number) for device in DEVICES for number in range(1, len(TEXTS) + 1)]


def test_a_dump_that_can_not_be_shown_again_leaves_what_came_before_it_proved(bench: Bench) -> None:
    """What needs the dump says why it can't be derived, and from how many it could."""

    def lost(task: Task) -> StepFailed | None:
        if task.dump.sequence == 4 and task.device == "a":
            return StepFailed(kind=FailureKind.ERROR, detail="gone")
        return None

    wanted = claims(bench)
    found = proofs(bench, lost).prove(wanted)
    said = "it can't be derived again: dump 4: error: gone"
    for claim, proof in zip(wanted, found, strict=True):
        if claim.episode.device == "a" and claim.dumps.last.sequence > 1:
            assert proof == Proof(False, 3, (said,))
        else:
            assert proof.matches


def test_evidence_that_was_altered_spoils_its_own_proof_alone(bench: Bench) -> None:
    """The others are derived as if it were not there."""
    wanted = claims(bench)
    altered = msgspec.structs.replace(wanted[2].evidence, partition=7)
    wanted[2] = Claim(wanted[2].episode, altered, wanted[2].dumps)
    found = proofs(bench, lambda _: None).prove(wanted)
    assert [proof.matches for proof in found] == [True, True, False, True, True, True]
    assert found[2].differences == ("the evidence was altered: it does not match its seal",)


@pytest.mark.parametrize(("times", "matching"), [(1, 6), (2, 3)])
def test_a_step_that_may_succeed_the_next_time_is_tried_once_more(
    bench: Bench, times: int, matching: int
) -> None:
    """A worker that hung at the first dump made every episode of its device and detector differ."""
    left = times

    def hangs(task: Task) -> StepFailed | None:
        nonlocal left
        if task.device != "a" or not left:
            return None
        left -= 1
        return StepFailed(kind=FailureKind.HANG, detail="slow")

    found = proofs(bench, hangs).prove(claims(bench))
    assert sum(proof.matches for proof in found) == matching
