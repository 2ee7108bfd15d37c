"""The product equals the model: an independent reference in plain Python, record by record.

Compared exactly: counts of the conservation law, the status of each reading, every verdict with the bits of
its score and its band, every published state of every episode in its order, anomalies, and the digests.
"""

from __future__ import annotations

from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proof.compare import plain
from proof.compare.differences import Found, differences
from proof.model import expected
from tests.kit import LogHistory
from tests.model_kit import logs
from tocsin.log.abstract import Record
from tocsin.processing.processor import process
from tocsin.processing.state import PartitionState


def compare(records: list[Record], cuts: list[int]) -> list[str]:
    """Process a log in pieces that end after the records numbered in `cuts`; what differs from the model."""
    state, found, history = PartitionState(0), Found(), LogHistory(records)
    for first, last in pairwise([0, *sorted({cut for cut in cuts if cut < len(records)}), len(records)]):
        found.take(0, process(records[first:last], state, history))
    found.close([state])
    return differences(expected(plain.records(records)), found)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(records=logs(), cuts=st.lists(st.integers(1, 40), max_size=4))
def test_what_is_said_of_a_log_is_what_the_model_says(records: list[Record], cuts: list[int]) -> None:
    """Statuses, verdicts, episodes, counts and digests of any log are those of the model."""
    assert compare(records, cuts) == []
