"""The product equals the model: an independent reference in plain Python, record by record.

Compared exactly: counts of the conservation law, the status of each reading, every verdict with the bits of
its score and its band, every published state of every episode in its order, anomalies, and the digests.
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from proof.compare import plain
from proof.compare.differences import Found, differences
from proof.model import expected
from tests.kit import LogHistory
from tests.model_kit import log_of_seed, logs
from tocsin.commit.abstract import OutboxRow
from tocsin.inbox.abstract import AnomalyQuery
from tocsin.inbox.embedded import EmbeddedInbox
from tocsin.log.abstract import Record
from tocsin.model import Episode
from tocsin.processing.processor import process
from tocsin.processing.state import PartitionState


def processed(records: list[Record], cuts: list[int]) -> tuple[Found, list[Episode]]:
    """What the product makes of a log that is cut after the records numbered in `cuts`."""
    state, found, history = PartitionState(0), Found(), LogHistory(records)
    episodes: list[Episode] = []
    for first, last in pairwise([0, *sorted({cut for cut in cuts if cut < len(records)}), len(records)]):
        output = process(records[first:last], state, history)
        found.take(0, output)
        episodes += output.episodes
    found.close([state])
    return found, episodes


def compare(records: list[Record], cuts: list[int]) -> list[str]:
    """What differs between the product and the model."""
    return differences(expected(plain.records(records)), processed(records, cuts)[0])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(records=logs(), cuts=st.lists(st.integers(1, 40), max_size=4))
def test_what_is_said_of_a_log_is_what_the_model_says(records: list[Record], cuts: list[int]) -> None:
    """Statuses, verdicts, episodes, counts and digests of any log are those of the model."""
    assert compare(records, cuts) == []


@pytest.mark.parametrize("seed", range(1, 31))
def test_what_is_said_of_the_logs_of_seeds(seed: int) -> None:
    """The same for logs that never change, each with many kinds of steps."""
    for steps in (12, 40):
        assert compare(log_of_seed(seed, steps), []) == []
        assert compare(log_of_seed(seed, steps, said=True), [5, 20]) == []
        assert compare(log_of_seed(seed, steps, windows=True), [7]) == []
        assert compare(log_of_seed(seed, steps, said=True, windows=True, pauses=True), [3, 9]) == []


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(records=logs(), size=st.sampled_from((1, 3, 1000)))
@example(records=log_of_seed(476502789, 21), size=1000)  # a device goes over to another application
def test_what_the_inbox_shows_is_what_the_model_says(records: list[Record], size: int) -> None:
    """Folded in the order of the log, a few or all at once, episodes become the anomalies of the model."""
    _, episodes = processed(records, [])
    rows = [OutboxRow(sequence, episode) for sequence, episode in enumerate(episodes, 1)]
    with TemporaryDirectory() as folder:
        inbox = EmbeddedInbox(Path(folder) / "inbox.db")
        try:
            for first in range(0, len(rows), size):
                inbox.fold(rows[first : first + size], now_ms=0)
            found = [
                plain.anomaly(anomaly)
                for tenant in ("t", "u")
                for anomaly in inbox.anomalies(AnomalyQuery(tenant, limit=10_000))
            ]
        finally:
            inbox.close()
    assert sorted(found, key=lambda anomaly: anomaly.id) == expected(plain.records(records)).anomalies()
