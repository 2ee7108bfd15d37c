"""How latencies of calm and hostile spans are compared, and how sums that are off are noticed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proof.laws import Heard, conservation_error, lines_error
from proof.neighbours.phases import Answered, Span, compare, percentile

SPANS = [Span(0.0, 100.0, hostile=False), Span(100.0, 200.0, hostile=True)]


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_a_percentile_is_a_value_that_enough_do_not_exceed(values: list[float], share: float) -> None:
    """The smallest one: with any smaller value there are fewer."""
    found = percentile(values, share)
    assert found in values
    assert sum(value <= found for value in values) >= share * len(values)
    assert sum(value < found for value in values) < max(1, math.ceil(share * len(values)))


def test_a_slow_request_is_charged_to_the_span_it_was_due_in() -> None:
    """Though its answer comes when the neighbour is gone."""
    requests = [Answered(n + 0.5, 0.01) for n in range(100)]
    requests += [Answered(100 + n, 0.01 if n < 90 else 150.0) for n in range(100)]
    found = compare(requests, SPANS)
    assert found.calm_ms_p99 == pytest.approx(10)
    assert found.hostile_ms_p99 == pytest.approx(150_000)
    assert found.ratio == pytest.approx(15_000)
    assert found.hostile_ms_p50 == pytest.approx(10)


def test_what_lies_between_spans_counts_nowhere() -> None:
    """While a server recovers from a neighbour, it is neither calm nor hostile."""
    requests = [Answered(float(n), 0.01) for n in range(200)]
    assert compare([*requests, Answered(250.0, 99.0)], SPANS) == compare(requests, SPANS)


def test_too_few_requests_give_no_figure() -> None:
    """A p99 of three requests would be a guess."""
    with pytest.raises(ValueError, match="too few requests"):
        compare([Answered(1.0, 0.1)] * 3 + [Answered(150.0, 0.1)] * 100, SPANS)


@pytest.mark.parametrize(
    ("counts", "heard", "error"),
    [
        ({"events": 5, "accepted": 10, "scored": 7, "late": 3}, Heard(5), 0),
        ({"events": 5, "accepted": 10, "scored": 7, "late": 2}, Heard(5), 1),
        ({"events": 4, "accepted": 10, "scored": 10}, Heard(5), 1),
        ({"events": 6, "accepted": 10, "scored": 10}, Heard(5), 1),
        ({"events": 6, "accepted": 10, "scored": 10}, Heard(5, unanswered=1), 0),
        ({"events": 4, "accepted": 10, "scored": 10}, Heard(5, unanswered=9), 1),
    ],
    ids=[
        "exact",
        "a reading lost",
        "acknowledged and lost",
        "counted twice",
        "answer lost",
        "lost for all that",
    ],
)
def test_each_record_that_is_off_is_counted(counts: dict[str, int], heard: Heard, error: int) -> None:
    """In either direction; an answer that was never heard excuses more events, not fewer."""
    assert conservation_error(counts, heard) == error


def test_lines_that_are_off_are_counted() -> None:
    """Received is the sum of what became of them."""
    assert lines_error({"received": 10, "accepted": 6, "rejected": 2, "repeated": 1}) == 1
