"""An episode can be derived again from its evidence and raw records, and only from the true ones."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.commit_kit import EVIDENCE
from tests.kit import START_MS, LogHistory, Row, fleet, log_of
from tests.unit.test_processor import controls_amid, late, run, split
from tocsin.control import Correct
from tocsin.model import Episode, Evidence, FeedbackActed
from tocsin.processing.batching import Events
from tocsin.processing.episodes import seal
from tocsin.processing.proof import prove

FAULTS = {"pump-0": (1500, 1520), "pump-1": (1600, 1610), "pump-2": (2000, 2150)}


def broken_pumps() -> list[Row]:
    """Two days of quiet series, each with a fault of its own length, the last across hours."""
    rows: list[Row] = []
    for step in range(2 * 24 * 60):
        for device, (first, last) in FAULTS.items():
            fault = 30.0 if first <= step < last else 0.0
            rows.append((device, START_MS + step * 60_000, {"temperature": 20 + step % 7 * 0.1 + fault}))
    return rows


def proved(rows: list[Row], size: int = 500) -> tuple[list[Episode], LogHistory]:
    records = log_of(split(rows, size))
    _, episodes = run(records)
    return [episode for episode in episodes if episode.evidence], LogHistory(records)


def of(history: LogHistory, episode: Episode) -> Events:
    assert episode.evidence
    return history(episode.tenant, episode.device, episode.evidence.before_offset)


def test_every_episode_is_derived_again() -> None:
    """Opened, worsened and closed states of runs within one batch and across batches and hours all match."""
    for size in (50, 5000):
        episodes, history = proved(broken_pumps(), size)
        assert {episode.end_ms is None for episode in episodes} == {True, False}
        assert any(episode.evidence and episode.evidence.cells for episode in episodes)
        for episode in episodes:
            proof = prove(episode, of(history, episode))
            assert proof.matches, (episode.explanation, proof.differences)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), size=st.sampled_from([5, 60, 1000]))
def test_episodes_of_any_log_are_derived_again(seed: int, size: int) -> None:
    """With late records, corrections, changing settings and silences every published state matches."""
    batches = split(late(fleet(seed), seed), size)
    records = controls_amid(batches, seed)
    _, episodes = run(records)
    history = LogHistory(records)
    for episode in episodes:
        if not episode.retracted:
            proof = prove(episode, of(history, episode))
            assert proof.matches, (episode, proof.differences)


def test_evidence_does_not_depend_on_cuts() -> None:
    """The evidence is the same bytes however the records are cut into calls and batches."""
    small, _ = proved(broken_pumps(), 7)
    large, _ = proved(broken_pumps(), 5000)
    assert sorted(map(str, small)) == sorted(map(str, large))


@pytest.fixture(scope="module")
def closed() -> tuple[Episode, LogHistory]:
    episodes, history = proved(broken_pumps())
    return next(e for e in episodes if e.end_ms is not None and e.evidence and e.evidence.cells), history


def test_altering_any_raw_row_makes_the_proof_fail(closed: tuple[Episode, LogHistory]) -> None:
    """A changed value or stamp, and a missing row, each show."""
    episode, history = closed
    events = of(history, episode)
    within = np.flatnonzero(
        (events.batch.ts >= episode.started_ms) & (events.batch.ts <= (episode.end_ms or 0))
    )
    for row in within[:: max(1, len(within) // 40)]:
        value, ts = events.batch.value.copy(), events.batch.ts.copy()
        value[row] = np.nextafter(value[row], np.inf)
        ts[row] += 1
        rest = np.delete(np.arange(len(ts)), row)
        for altered in (
            replace(events, batch=replace(events.batch, value=value)),
            replace(events, batch=replace(events.batch, ts=ts)),
            Events(events.tenant, events.offsets[rest], events.batch.take(rest)),
        ):
            assert not prove(episode, altered).matches


@pytest.mark.parametrize(
    "field", ["state", "settings", "cells", "rows_digest", "from_ms", "to_ms", "before_offset"]
)
def test_altering_the_evidence_makes_the_proof_fail(field: str, closed: tuple[Episode, LogHistory]) -> None:
    """Any changed byte of state, limits, cells or span shows, because the seal covers them all."""
    episode, history = closed
    assert episode.evidence
    for altered in alterations(episode.evidence, field):
        forged = msgspec.structs.replace(episode, evidence=altered)
        assert not prove(forged, of(history, episode)).matches


def alterations(evidence: Evidence, field: str) -> list[Evidence]:
    """The evidence with each single byte (or the number) of a field changed."""
    found = getattr(evidence, field)
    if isinstance(found, int):
        return [msgspec.structs.replace(evidence, **{field: found + 1})]
    if isinstance(found, str):
        return [
            msgspec.structs.replace(
                evidence, **{field: "f" + found[1:] if found[0] != "f" else "0" + found[1:]}
            )
        ]
    if isinstance(found, bytes):
        return [msgspec.structs.replace(evidence, **{field: changed}) for changed in flipped(found)]
    ts, content = found[0]
    return [
        msgspec.structs.replace(evidence, **{field: ((ts, changed), *found[1:])})
        for changed in flipped(content)
    ]


def flipped(content: bytes) -> list[bytes]:
    return [content[:i] + bytes([content[i] ^ 1]) + content[i + 1 :] for i in range(len(content))]


def test_altered_limits_with_a_new_seal_do_not_match(closed: tuple[Episode, LogHistory]) -> None:
    """Even whoever can seal anew can't pass off other limits: the verdict rows come out differently."""
    episode, history = closed
    assert episode.evidence
    ((from_ms, content),) = episode.evidence.settings
    changed = content.replace(b'"seasonal":{}', b'"seasonal":{"limit":1.0}')
    assert changed != content
    forged = msgspec.structs.replace(episode.evidence, settings=((from_ms, changed),))
    forged = msgspec.structs.replace(forged, seal=seal(forged))
    assert not prove(msgspec.structs.replace(episode, evidence=forged), of(history, episode)).matches


def test_altering_a_published_number_makes_the_proof_fail(closed: tuple[Episode, LogHistory]) -> None:
    """The episode's own fields are compared with what is derived."""
    episode, history = closed
    for name in ("started_ms", "end_ms", "peak_ms", "readings", "value", "upper", "score"):
        forged = msgspec.structs.replace(episode, **{name: getattr(episode, name) + 1})
        assert not prove(forged, of(history, episode)).matches, name


def test_a_corrected_episode_is_proved_in_order_of_time() -> None:
    """A revision after late data is derived again from the records in order of time."""
    rows = [row for row in broken_pumps() if row[0] == "pump-2"]
    moved = rows[:2010] + rows[2060:2100] + rows[2010:2060] + rows[2100:]
    records = log_of([*split(moved, 500), Correct(tenant="t", devices=("pump-2",))])
    _, episodes = run(records)
    revised = [episode for episode in episodes if episode.revision > 0 and not episode.retracted]
    assert revised
    for episode in revised:
        assert prove(episode, of(LogHistory(records), episode)).matches


def test_a_corrected_episode_is_proved_without_what_came_too_late() -> None:
    """Records that came more than 30 days late lie within a run and a silence, but do not count."""
    rows = [row for row in broken_pumps() if row[0] == "pump-2"]
    steady = {"temperature": 20.0}
    in_a_run = [(device, ts + 1, values) for device, ts, values in rows[2020:2100]]
    in_a_silence = [("pump-2", START_MS + day * 86_400_000, steady) for day in (3, 5)]
    later = [("pump-2", START_MS + day * 86_400_000, steady) for day in (40, 20)]
    moved = rows[:2010] + rows[2060:2100] + rows[2010:2060] + rows[2100:]
    records = log_of(
        [*split([*moved, *later, *in_a_run, *in_a_silence], 500), Correct(tenant="t", devices=("pump-2",))]
    )
    _, episodes = run(records)
    revised = [episode for episode in episodes if episode.revision > 0 and not episode.retracted]
    assert {episode.detector for episode in revised} == {"seasonal", "health"}
    for episode in revised:
        proof = prove(episode, of(LogHistory(records), episode))
        assert proof.matches, proof.differences


def test_what_earlier_releases_sealed_keeps_its_seal() -> None:
    """Evidence of readings without feedback, and with false alarms, which was all that people could say."""
    assert seal(EVIDENCE) == "28a717575880e0e593430893ad040bf9"
    false_alarm = FeedbackActed(from_ms=1, steps=2, steps_before=1, anomaly="an_1", action=3, at_ms=4)
    said = msgspec.structs.replace(EVIDENCE, feedback=(false_alarm,))
    assert seal(said) == "c12a0802236bc3dfaa0a359cc190fa5d"
