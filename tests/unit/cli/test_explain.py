"""Which episodes `tocsin explain all` derives again."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from tests.http_kit import episode_of
from tocsin.cli import explain
from tocsin.commit.abstract import Commit, Totals
from tocsin.commit.embedded import EmbeddedCommitStore
from tocsin.model import FeedbackActed


def test_all_ends_though_a_whole_page_was_retracted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every episode that still stands, once; those that were taken back are passed over, however many."""
    monkeypatch.setattr(explain, "_PAGE", 2)
    states = [False, True, True, True, True, True, False]
    episodes = [episode_of("pump-7", id=f"ep_{n}", retracted=gone) for n, gone in enumerate(states)]
    store = EmbeddedCommitStore(tmp_path / "commit.db")
    lease = store.acquire(0)
    store.commit([Commit(0, lease.epoch, 0, 1, Totals(), episodes=episodes)])
    assert explain._all_ids(store) == ["ep_0", "ep_6"]
    store.close()


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (1, 2, "limit raised to 2.25 times since 1 Jan 1970"),
        (2, 1, "limit lowered to 1.5 times since 1 Jan 1970"),
        (1, 0, "limit as it was at first since 1 Jan 1970"),
    ],
)
def test_a_false_alarm_that_was_taken_back_is_not_told_as_a_raised_limit(
    before: int, after: int, told: str
) -> None:
    """What lowers a limit is said to lower it."""
    acted = FeedbackActed(from_ms=0, steps=after, steps_before=before, anomaly="an_1", action=2, at_ms=1000)
    assert told in explain._raised(msgspec.structs.asdict(acted))
