"""The simulator notices what it is there for: any protection, once taken away, is missed at an early seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Any
from unittest.mock import patch

import msgspec
import pytest

from proof.simulation.files import SimulatedFiles
from proof.simulation.generating import plan_of
from proof.simulation.run import run_plan
from proof.simulation.vfs import SimulatedConnection
from tocsin.commit import embedded as commit_store
from tocsin.commit import step_rows, step_store
from tocsin.commit.dump_steps import JudgedDump, Standing
from tocsin.log.catalogue import Catalogue
from tocsin.log.embedded import EmbeddedLog
from tocsin.log.group_commit import Pending
from tocsin.log.planning import Plan
from tocsin.model import Episode

SEEDS = range(40)


def no_sync() -> AbstractContextManager[Any]:
    """Commits return before they are on the disk."""
    pragma = SimulatedConnection.pragma

    def hasty(self: SimulatedConnection, name: str, value: Any = None, **options: Any) -> Any:
        value = "OFF" if name == "synchronous" else value
        return pragma(self, name, **options) if value is None else pragma(self, name, value, **options)

    return patch.object(SimulatedConnection, "pragma", hasty)


def early_answer() -> AbstractContextManager[Any]:
    """Senders hear of success before anything is written."""
    write_group = EmbeddedLog._write_group

    def hasty(self: EmbeddedLog, group: list[Pending]) -> None:
        plan = Plan(self._ends, self._last_dead_letter, self._catalogue.book)
        for pending in group:
            plan.add(pending)
        for pending, outcome in plan.outcomes:
            if not isinstance(outcome, Exception):
                pending.future.set_result(outcome)
        with patch.object(EmbeddedLog, "_fail"):
            late = [Pending(pending.append, pending.size_bytes) for pending in group]
            write_group(self, late)

    return patch.object(EmbeddedLog, "_write_group", hasty)


def early_trim() -> AbstractContextManager[Any]:
    """The log is trimmed whether the lake has the records or not."""
    trim = Catalogue.trim

    def hasty(self: Catalogue, safe: Mapping[int, int]) -> int:
        return trim(self, dict.fromkeys(safe, 1 << 60))

    return patch.object(Catalogue, "trim", hasty)


def lost_end() -> AbstractContextManager[Any]:
    """The end of an episode is not stored."""
    add = commit_store._add_episode

    def forgetful(writer: Any, episode: Episode) -> None:
        if episode.end_ms is None:
            add(writer, episode)

    return patch.object(commit_store, "_add_episode", forgetful)


def unsynced_blobs() -> AbstractContextManager[Any]:
    """Files of dumps are not synced before they are told to be kept."""
    return patch.object(SimulatedFiles, "sync_file", lambda self, file, path: None)


def lost_findings() -> AbstractContextManager[Any]:
    """What a dump's step found is stored without its last finding."""
    row = step_rows.judged_row

    def forgetful(standing: Standing, judged: JudgedDump) -> Any:
        return row(standing, msgspec.structs.replace(judged, findings=judged.findings[:-1]))

    return patch.object(step_store, "judged_row", forgetful)


PLANTINGS = (
    (no_sync, 0),
    (early_answer, 8),
    (early_trim, 1),
    (lost_end, 0),
    (unsynced_blobs, 0),
    (lost_findings, 0),
)
"""Each with the seed that is tried first, since it was the earliest one to notice."""


@pytest.fixture(params=PLANTINGS, ids=lambda planting: planting[0].__name__)
def planted(request: pytest.FixtureRequest) -> Iterator[int]:
    planting, seed = request.param
    with planting():
        yield seed


def test_a_missing_protection_is_noticed(planted: int) -> None:
    """One of the first seeds finds something wrong."""
    assert any(run_plan(plan_of(seed)).findings for seed in (planted, *SEEDS))
