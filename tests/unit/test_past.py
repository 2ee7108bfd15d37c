"""What a page tells of an anomaly's past."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.inbox.abstract import Change
from tocsin.web.past import told

KINDS = ["opened", "updated", "extended", "recurred", "cleared", "resolved"]


def change(sequence: int, kind: str, action: int | None = None) -> Change:
    return Change(
        sequence=sequence,
        anomaly_id="an_1",
        tenant="default",
        at_ms=sequence * 1000,
        actor="tocsin",
        kind=kind,
        detail=f"finding {sequence}",
        action=action,
    )


def test_what_goes_on_is_told_once_as_it_is_now() -> None:
    """An anomaly of dumps has a finding in each; a page shows the last, and since when it goes on."""
    kinds = ["opened", "updated", "extended", "updated", "cleared", "recurred"]
    found = told([change(number, kind) for number, kind in enumerate(kinds)])
    assert [(each.change.kind, each.change.detail, each.times, each.since_ms) for each in found] == [
        ("recurred", "finding 5", 1, 5000),
        ("cleared", "finding 4", 1, 4000),
        ("updated", "finding 3", 3, 1000),
        ("opened", "finding 0", 1, 0),
    ]


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from([None, 7]))))
def test_nothing_that_people_did_is_left_out(made: list[tuple[str, int | None]]) -> None:
    """Every change is told or counted, what people did each by itself, in order."""
    history = [change(number, kind, action) for number, (kind, action) in enumerate(made)]
    found = told(history)
    assert sum(each.times for each in found) == len(history)
    numbers = [each.change.sequence for each in found]
    assert numbers == sorted(numbers, reverse=True)
    assert [each.change for each in reversed(found) if each.change.action] == [
        each for each in history if each.action
    ]
