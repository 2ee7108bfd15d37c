"""What dump detectors say of where they stand, from a step to whoever looks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.dump_detector_kit import install, task
from tests.dump_steps_kit import Bench, module
from tocsin.commit.abstract import DumpKind
from tocsin.dump_detectors.instances import Instances
from tocsin.dump_detectors.limits import StepLimits
from tocsin.dump_detectors.stepping import step
from tocsin.dump_detectors.steps import FailureKind, StepDone, StepFailed


@pytest.mark.parametrize("given", ["7", "None"])
def test_what_is_no_text_is_no_note(given: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The step fails, and says so."""
    monkeypatch.delitem(sys.modules, "counting_kit", raising=False)
    install(tmp_path, monkeypatch, module().replace('return "" if self.dumps > 3 else', f"return {given} or"))
    limits = StepLimits()
    result = step(task(tmp_path), Instances(limits), limits)
    if given == "7":
        assert isinstance(result, StepFailed)
        assert (result.kind, "note gave int" in result.detail) == (FailureKind.ERROR, True)
    else:
        assert isinstance(result, StepDone)
        assert result.note == "1 of 4 dumps"


def test_a_standing_has_the_note_of_its_last_dump(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is replaced by that of each later one, and by that of a correction, which knows all dumps."""
    monkeypatch.delitem(sys.modules, "counting_kit", raising=False)
    install(tmp_path, monkeypatch, module())
    bench = Bench(tmp_path)
    bench.free(bench.dump(1), bench.dump(3))
    bench.settle()
    assert bench.standing().note == "2 of 4 dumps"
    bench.free(bench.dump(2), kind=DumpKind.AFTER_GAP)
    bench.settle()
    assert bench.standing().note == "3 of 4 dumps"
    bench.free(bench.dump(4))
    bench.settle()
    assert bench.standing().note == ""
    bench.close()
