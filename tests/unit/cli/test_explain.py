"""Which episodes `tocsin explain all` derives again."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.http_kit import episode_of
from tocsin.cli import explain
from tocsin.commit.abstract import Commit, Totals
from tocsin.commit.embedded import EmbeddedCommitStore


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
