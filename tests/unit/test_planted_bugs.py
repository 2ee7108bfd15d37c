"""The catalogue of planted bugs fits the code as it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proof.planted.bug import Bug, PlantingError, catalogue
from proof.planted.checks import CHECKS
from proof.planted.kernels import Kernels
from proof.planted.workshop import ROOT

BUGS = catalogue()


def test_there_are_enough_of_every_kind() -> None:
    """At least forty, in compiled and in other code."""
    assert len(BUGS) >= 40
    assert {bug.kernel for bug in BUGS} == {True, False}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_can_be_planted(bug: Bug) -> None:
    """Its text stands once in the file, the changed file is Python, and its tests and checks exist."""
    compile(bug.changed((ROOT / bug.file).read_text()), bug.file, "exec")
    assert set(bug.checks) <= set(CHECKS)
    for test in bug.tests:
        file, _, function = test.partition("::")
        assert f"def {function}" in (ROOT / file).read_text()


def test_kernels_are_forgotten_with_whatever_they_call(tmp_path: Path) -> None:
    """A changed file makes those of its importers stale, near and far, and no others."""
    sources = {"below": "import numba", "above": "from tocsin.below import x", "top": "import tocsin.above"}
    (tmp_path / "tocsin/__pycache__").mkdir(parents=True)
    for name, source in sources.items() | {"aside": "import numba"}.items():
        (tmp_path / f"tocsin/{name}.py").write_text(source)
        (tmp_path / f"tocsin/__pycache__/{name}.kernel-1.py311.nbi").touch()
    kernels = Kernels(tmp_path)
    stale = {path.name.partition(".")[0] for path in kernels.stale_after(tmp_path / "tocsin/below.py")}
    assert stale == set(sources)
    changed = tmp_path / "tocsin/below.py"
    os.utime(changed, (changed.stat().st_atime, changed.stat().st_mtime + 60))
    kernels.forget_stale()
    assert [path.name for path in tmp_path.rglob("*.nbi")] == ["aside.kernel-1.py311.nbi"]


def test_a_bug_whose_text_is_gone_is_refused() -> None:
    """Or it would pass as not caught, or worse as caught."""
    bug = Bug(name="gone", file="x", harm="none", before="never written", after="{ran}")
    with pytest.raises(PlantingError, match="0 times"):
        bug.changed("something else")
