"""Dumps through log, order and steps in the running runtime: lost, late, released, and started again."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.dump_detector_kit import install
from tests.dump_kit import good_archive
from tests.dump_steps_kit import PlainStepper, module
from tests.integration.test_dump_gaps import DEVICE, PARTITION, WAIT_S, WATCHED, Site
from tests.integration.test_recovery import NEVER, running, stores_in
from tocsin.clock import ManualClock, SystemClock
from tocsin.commit.embedded import EmbeddedCommitStore
from tocsin.control import Control, DumpDetectorFailed, Quarantine, decode_control, encode_control
from tocsin.dump_detectors.steps import FailureKind, StepFailed, Task
from tocsin.log.abstract import Append, Part, RecordKind
from tocsin.runtimes.embedded.dump_archives import Archives
from tocsin.runtimes.embedded.dump_crew import Crew
from tocsin.runtimes.embedded.dump_running import DumpWork

DUMPS = 6


@pytest.fixture(autouse=True)
def detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "counting_kit", raising=False)
    install(tmp_path, monkeypatch, module("2"))
    for sequence in range(1, DUMPS + 1):
        text = "fault belt" if sequence % 3 == 0 else ""
        body = good_archive({"engine/engine.log": f"dump {sequence}\n{text}\n".encode()})
        (tmp_path / f"{sequence:064x}.zip").write_bytes(body)


class SteppedSite(Site):
    """As a Site, with what is found."""

    def digest(self) -> str:
        """The digest of findings."""
        return self.runtime.views.digest("t").digest_dumps

    def log(self, control: Control) -> None:
        """Log a decision in the device's partition."""
        part = Part(PARTITION, RecordKind.CONTROL, 1, encode_control(control))
        self.stores.log.submit(Append(tenant="t", arrival_ms=0, parts=(part,))).result()
        self.settle()

    def failures(self) -> list[DumpDetectorFailed]:
        """Decisions that a detector has stopped."""
        records = self.stores.log.read(PARTITION, 0)
        found = [decode_control(record.payload) for record in records if record.kind is RecordKind.CONTROL]
        return [control for control in found if isinstance(control, DumpDetectorFailed)]


@contextmanager
def site(
    folder: Path, blobs: Path, clock: ManualClock, failing: set[int] | None = None
) -> Iterator[SteppedSite]:
    """A runtime with steps in this process; dumps in `failing` fail for good."""

    def fails(task: Task) -> StepFailed | None:
        failed = task.dump.sequence in (failing or ())
        return StepFailed(kind=FailureKind.ERROR, detail="told to") if failed else None

    with stores_in(folder) as stores:
        assert isinstance(stores.commits, EmbeddedCommitStore)
        work = DumpWork(
            steps=stores.commits.steps,
            archives=Archives(lambda sha256: blobs / f"{sha256}.zip"),
            crew=Crew(lambda: PlainStepper(fails), SystemClock()),
            chance=lambda: 0.0,
        )
        whole = replace(stores, steps=stores.commits.steps)
        with running(whole, NEVER, settings=WATCHED, dumps=work) as runtime:
            yield SteppedSite(whole, runtime, clock)


def calm_digest(tmp_path: Path) -> str:
    """What the dumps give in order."""
    with site(tmp_path / "calm", tmp_path, ManualClock()) as at:
        at.receive(*range(1, DUMPS + 1))
        return at.digest()


@pytest.mark.parametrize("seed", [1, 2])
def test_any_order_with_restarts_gives_the_calm_digest(tmp_path: Path, seed: int) -> None:
    """Repeats and reordering are the order's; a restart between any two dumps changes nothing."""
    rng = random.Random(seed)
    dumps = [*range(1, DUMPS + 1), *rng.choices(range(1, DUMPS + 1), k=3)]
    rng.shuffle(dumps)
    for sequence in dumps:
        with site(tmp_path / "data", tmp_path, ManualClock()) as at:
            at.receive(sequence)
            digest = at.digest()
    assert digest == calm_digest(tmp_path)


def test_a_dump_that_comes_after_its_gap_was_given_up_is_corrected(tmp_path: Path) -> None:
    """The digest is then that of the dumps in order, though they were judged without it before."""
    with site(tmp_path / "data", tmp_path, ManualClock()) as at:
        at.receive(1, *range(3, DUMPS + 1))
        at.tick_after(60, WAIT_S, 60)
        without = at.digest()
        at.receive(2)
        assert without != at.digest() == calm_digest(tmp_path)


def test_a_stopped_device_waits_for_its_release(tmp_path: Path) -> None:
    """The decision is in the log; after the release, and after a restart, all is as if nothing had been."""
    failing = {3}
    with site(tmp_path / "data", tmp_path, ManualClock(), failing) as at:
        at.receive(*range(1, DUMPS + 1))
        (failed,) = at.failures()
        assert (failed.device, failed.sequence, failed.detector) == (DEVICE, 3, "counting")
    failing.clear()
    with site(tmp_path / "data", tmp_path, ManualClock(), failing) as at:
        at.settle()
        stopped = at.digest()
        at.log(Quarantine(tenant="t", devices=(DEVICE,), reason="", released=True))
        at.settle()
        assert at.runtime.views.digest("t").dumps_unjudged == 0
        digest = at.digest()
    assert stopped != digest == calm_digest(tmp_path)
