"""Findings against labels: what counts as found, and what as a false alarm."""

from __future__ import annotations

from benchmarks.quality.dump_findings import DumpRow, FindingRow, Label, judge

DUMPS = {("a", n): DumpRow("a", n, n * 10, n * 10 + 10) for n in range(1, 9)}
FAULT = Label("a", "door", "silent", 25, 45)


def finding(sequence: int, component: str = "door", code: str = "rates") -> FindingRow:
    return FindingRow("a", sequence, "shapes", component, code)


def test_a_fault_is_found_in_a_dump_that_it_overlaps() -> None:
    """Of its component alone, and once however many findings say so."""
    judged = judge([FAULT], DUMPS, [finding(3), finding(4)])
    assert (judged.found["silent"], judged.false_alarms) == (1, 0)
    judged = judge([FAULT], DUMPS, [finding(3, component="drive")])
    assert (judged.found["silent"], judged.false_alarms) == (0, 1)


def test_findings_of_dumps_in_a_row_are_one_episode() -> None:
    """One that begins in a fault is no false alarm where it ends after it; after a pause it is another."""
    judged = judge([FAULT], DUMPS, [finding(4), finding(5), finding(7), finding(8)])
    assert (judged.found["silent"], judged.false_alarms) == (1, 1)


def test_another_code_is_another_episode() -> None:
    """However many dumps it lasts."""
    judged = judge([], DUMPS, [finding(1), finding(2), finding(1, code="new"), finding(2, code="new")])
    assert judged.false_alarms == 2
