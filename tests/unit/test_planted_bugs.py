"""The catalogue of planted bugs fits the code as it is."""

from __future__ import annotations

import pytest

from proof.planted.bug import Bug, PlantingError, catalogue
from proof.planted.checks import CHECKS
from proof.planted.workshop import ROOT

BUGS = catalogue()


def test_there_are_enough_of_every_kind() -> None:
    """At least forty, in compiled and in other code."""
    assert len(BUGS) >= 40
    assert {bug.kernel for bug in BUGS} == {True, False}


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_bug_can_be_planted(bug: Bug) -> None:
    """Its text stands once in the file, the changed file is Python, and its checks exist."""
    compile(bug.changed((ROOT / bug.file).read_text()), bug.file, "exec")
    assert set(bug.checks) <= set(CHECKS)


def test_a_bug_whose_text_is_gone_is_refused() -> None:
    """Or it would pass as not caught, or worse as caught."""
    bug = Bug(name="gone", file="x", harm="none", before="never written", after="{ran}")
    with pytest.raises(PlantingError, match="0 times"):
        bug.changed("something else")
