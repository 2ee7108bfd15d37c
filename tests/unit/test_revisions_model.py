"""What a window may have become, by a model that tries every order of what people asked for."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from proof.model.revisions import Change, Revision, histories, is_in
from proof.model.windows import Asked

ASKED = Asked(0, 1000, why="new bearing")
LONGER = Change("longer", read=1, until=(2000,))
LEARNT = Change("learnt", read=1, no_learn=True)
WHATEVER = Change("whatever", no_alert=False, no_learn=True)
END = Change("end", ends=True)


def ways(
    changes: Sequence[Change], last: int, *known: Revision, asked: Asked = ASKED
) -> list[tuple[str, ...]]:
    """Who made each revision, for every history in which `known` ones are as they are."""

    def fits(found: Revision) -> bool:
        return all(each == found for each in known if each.number == found.number)

    return [tuple(each.by for each in way[1:]) for way in histories(asked, changes, last, fits)]


def test_of_two_who_have_read_the_same_revision_one_changes_it() -> None:
    """Either of them, but never both: the second would undo what it has not seen."""
    assert ways([LONGER, LEARNT], 2) == [("longer",), ("learnt",)]
    assert ways([LONGER, LEARNT], 3) == []


def test_who_names_no_revision_changes_whatever_there_is() -> None:
    """Before or behind another one, and once more when the message comes again behind that."""
    assert ways([LONGER, WHATEVER], 2) == [("longer",), ("whatever",)]
    assert ways([LONGER, WHATEVER], 3) == [("longer", "whatever")]


def test_what_is_known_of_a_revision_leaves_the_histories_that_lead_to_it() -> None:
    """Also of one between: what was read is never undone."""
    second = Revision(2, Asked(0, 2000, why="new bearing"), by="longer")
    assert ways([LONGER, LEARNT, WHATEVER], 3, second) == [("longer", "whatever")]


@pytest.mark.parametrize("change", [LONGER, WHATEVER, END])
def test_what_was_ended_never_changes(change: Change) -> None:
    """Whatever somebody asks for behind that."""
    ended = Revision(2, ASKED, ended=True, by="end")
    assert ways([END, change], 3, ended) == []


def test_a_change_that_changes_nothing_makes_no_revision() -> None:
    """Nor does one that would leave nothing to keep back."""
    assert ways([Change("same", until=(1000,)), Change("nothing", no_alert=False)], 2) == []


def test_an_end_can_be_taken_away_and_a_reason_changed() -> None:
    """Of what repeats."""
    change = Change("on", read=1, until=(None,), why="for good")
    [way] = histories(ASKED, [change], 2, lambda _: True)
    assert way[-1] == Revision(2, Asked(0, None, why="for good"), by="on")


def test_a_change_is_in_its_answer_if_it_was_made_by_then_or_was_so() -> None:
    """Not if it was made later, or is in no revision."""
    [way] = histories(ASKED, [LONGER, END], 3, lambda _: True)
    assert is_in(way, LONGER, 2)
    assert not is_in(way, LONGER, 1)
    assert is_in(way, Change("same", until=(1000,)), 1)
    assert not is_in(way, LEARNT, 3)
    assert is_in(way, Change("again", ends=True), 3)
    assert not is_in(way, Change("again", ends=True), 2)
