"""Proof: derive an episode again from its raw records and its evidence, and compare."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import msgspec
import numpy as np
import numpy.typing as npt

from tocsin.control import Settings
from tocsin.detectors.abstract import NEVER_MS, unpack_cells
from tocsin.errors import CorruptError
from tocsin.events import I64, EventBatch, Strings
from tocsin.model import Episode, Evidence, Flag, Status
from tocsin.processing.batching import Events, in_spans
from tocsin.processing.episodes import (
    DEVICE_DETECTOR,
    DEVICE_REASONS,
    NOTICE_STATE,
    Source,
    drafts_of_turns,
    seal,
)
from tocsin.processing.feedback import rows_of
from tocsin.processing.lateness import without_too_late
from tocsin.processing.maintenance import Maintenance, packed
from tocsin.processing.notices import CLOCK_RUN_MIN
from tocsin.processing.ordering import Ordered, order
from tocsin.processing.resolving import resolve
from tocsin.processing.scoring import follow
from tocsin.processing.state import TenantState
from tocsin.processing.timeline import Timeline

_FIELDS = (
    "started_ms",
    "opened_ms",
    "end_ms",
    "last_abnormal_ms",
    "peak_ms",
    "readings",
    "value",
    "expected",
    "lower",
    "upper",
    "score",
    "severity",
    "reason",
    "suppressed",
)


@dataclass(frozen=True, slots=True)
class Proof:
    """Whether the episode was derived again, from how many readings, and what differs."""

    matches: bool
    readings: int
    differences: tuple[str, ...]


def span(episode: Episode, evidence: Evidence) -> tuple[int | None, int | None]:
    """From when to when the device's records are needed to prove an episode; None = without end.

    After a correction newer records tell which of the older ones came too late to count. Of a wrong clock all
    are needed, since their order in the log counts and not their stamps.
    """
    if episode.detector == DEVICE_DETECTOR and episode.reason == "clock":
        return None, None
    return evidence.from_ms, None if evidence.sorted_below else evidence.to_ms


def prove(episode: Episode, events: Events) -> Proof:
    """Derive `episode` again from `events`: its device's records of its `span`, in log order."""
    evidence = episode.evidence
    if evidence is None:
        return Proof(False, 0, ("the episode has no evidence",))
    if seal(evidence) != evidence.seal:
        return Proof(False, 0, ("the evidence was altered: it does not match its seal",))
    if episode.reason != "clock":
        events = without_too_late(events, evidence.quarantines, evidence.sorted_below)
    if episode.detector == DEVICE_DETECTOR and episode.reason in DEVICE_REASONS:
        return _prove_notice(episode, evidence, events)
    return _prove_run(episode, evidence, events)


def _prove_run(episode: Episode, evidence: Evidence, events: Events) -> Proof:
    """Put the state before back, judge the readings again, and compare what comes out last."""
    own = _own_readings(episode, evidence, events)
    state = _state_before(episode, evidence)
    found: list[Episode] = []
    readings = 0
    for number, (chunk, cells) in enumerate(_chunks(own, dict(evidence.cells))):
        judged, ordered = _judge(episode, chunk, cells, evidence, state, first=number == 0)
        readings += int((ordered.status == Status.SCORED).sum())
        found += judged
    if not found:
        return Proof(False, readings, ("the records give no episode",))
    return Proof(*_compare(episode, evidence, found[-1], readings))


def _compare(
    episode: Episode, evidence: Evidence, derived: Episode, readings: int
) -> tuple[bool, int, tuple[str, ...]]:
    differences = [
        f"{name}: {getattr(derived, name)} was derived, {getattr(episode, name)} was published"
        for name in _FIELDS
        if not _same(getattr(derived, name), getattr(episode, name))
    ]
    if derived.evidence is None or derived.evidence.rows_digest != evidence.rows_digest:
        differences.append("the verdict rows differ from those that were published")
    return not differences, readings, tuple(differences)


def _same(one: object, other: object) -> bool:
    """Whether two values are equal; a limit that there is not (NaN) equals another."""
    return one == other or (one != one and other != other)  # noqa: PLR0124 - NaN differs from itself


def _own_readings(episode: Episode, evidence: Evidence, events: Events) -> Events:
    """The events within the evidence that carry the episode's parameter, in the order they were judged."""
    batch = events.batch
    keep = (batch.flags & int(Flag.CLOCK_WRONG)) == 0
    keep &= (batch.ts >= evidence.from_ms) & (batch.ts <= evidence.to_ms)
    keep &= events.offsets < evidence.before_offset
    keep &= ~in_spans(events.offsets, evidence.quarantines)
    streams = [
        code for code, (application, _) in enumerate(batch.streams) if application == episode.application
    ]
    keep &= np.isin(batch.stream, streams)
    rows = np.flatnonzero(keep).astype(np.int64)
    earlier = rows[events.offsets[rows] < evidence.sorted_below]
    earlier = earlier[np.argsort(batch.ts[earlier], kind="stable")]
    rows = np.concatenate([earlier, rows[events.offsets[rows] >= evidence.sorted_below]])
    return Events(events.tenant, events.offsets[rows], batch.take(rows))


def _state_before(episode: Episode, evidence: Evidence) -> TenantState:
    """A state whose one series is as the evidence says it was just before."""
    timeline = Timeline()
    timeline.restore([(*found, -1) for found in _settings(evidence)])
    state = TenantState(episode.tenant, timeline)
    state.add_devices(Strings.of([episode.device]))
    slot = state.slots[episode.detector]
    kind = slot.detector
    if kind.state_version != evidence.state_version or kind.hot_dtype.itemsize != len(evidence.state):
        raise CorruptError("the evidence was written by another version of the detector")
    said = rows_of(evidence.feedback, evidence.from_ms)
    slot.await_feedback(episode.application, episode.parameter, said)
    state.maintenance.restore(0, packed(evidence.maintenance))
    return state


def _settings(evidence: Evidence) -> list[tuple[Settings, int]]:
    return [(msgspec.json.decode(content, type=Settings), from_ms) for from_ms, content in evidence.settings]


def _chunks(events: Events, cells_at: dict[int, bytes]) -> Iterator[tuple[Events, bytes | None]]:
    """The events cut where cells were consulted, each piece with the cells to put back before it."""
    edges = [row for row, ts in enumerate(events.batch.ts.tolist()) if ts in cells_at]
    for first, last in pairwise([*sorted({0, *edges}), len(events.batch)]):
        rows = np.arange(first, last, dtype=np.int64)
        if len(rows):
            ts = int(events.batch.ts[first])
            yield Events(events.tenant, events.offsets[rows], events.batch.take(rows)), cells_at.get(ts)


def _judge(
    episode: Episode,
    events: Events,
    cells: bytes | None,
    evidence: Evidence,
    state: TenantState,
    *,
    first: bool,
) -> tuple[list[Episode], Ordered]:
    resolved = resolve(events.batch, state)
    source = Source(evidence.partition, events.offsets, resolved.stream)
    ordered = order(events.batch, resolved, state)
    slot = state.slots[episode.detector]
    series = _series_of(episode, state)
    if series is not None:
        if first:
            slot.state.hot[series] = np.frombuffer(evidence.state, slot.detector.hot_dtype)[0]
        if cells is not None:
            unpack_cells(cells, slot.state.cells[series])
    _, turns = follow(ordered.scored, slot, state)
    drafts = []
    for part in turns:
        own = part.rows[part.rows["series"] == series]
        drafts += drafts_of_turns(own, part.gathered, slot, state, source)
    return [draft.episode for draft in drafts], ordered


def _series_of(episode: Episode, state: TenantState) -> int | None:
    for number in state.device_series(0):
        key = state.series_key(number)
        if (key.application, key.parameter) == (episode.application, episode.parameter):
            return number
    return None


def _prove_notice(episode: Episode, evidence: Evidence, events: Events) -> Proof:
    """Look again for what the notice says: the limit, the last record before it and the first after it."""
    batch = events.batch
    seen = events.offsets < evidence.before_offset
    wrong = (batch.flags & int(Flag.CLOCK_WRONG)) != 0
    if episode.reason == "clock":
        found = _shows_wrong_clock(episode, batch.ts[seen], wrong[seen])
        said = () if found else ("no three wrong stamps in a row give it",)
        return Proof(found, int((seen & wrong).sum()), said)
    _, interval_ms, limit_ms, _ = NOTICE_STATE.unpack(evidence.state)
    settings = _settings(evidence)[-1][0]
    differences = []
    least = max(settings.silence_intervals * interval_ms, settings.silence_min_s * 1000)
    if episode.reason == "silent" and limit_ms != least:
        differences.append(f"limit: {least} ms was derived, {limit_ms} ms was published")
    within = episode.end_ms is not None and episode.end_ms <= _alerts_again_ms(episode, evidence)
    if bool(episode.suppressed) != within:
        differences.append("maintenance: who was to be alerted is not what the windows say")
    counts = seen & ~wrong & _carries(episode, batch)
    if episode.reason == "missing":  # what comes in quarantine does not bring a parameter back
        counts &= ~in_spans(events.offsets, evidence.quarantines)
    ts = batch.ts[counts]
    gap = ts[(ts > evidence.from_ms) & (ts < (episode.end_ms or evidence.to_ms))]
    if len(gap):
        differences.append(f"{len(gap)} records lie within the gap")
    if episode.end_ms is not None and episode.end_ms not in ts:
        differences.append("no record ends the gap")
    if episode.reason == "silent" and evidence.from_ms not in ts:
        differences.append("no record begins the gap")
    return Proof(not differences, len(ts), tuple(differences))


def _alerts_again_ms(episode: Episode, evidence: Evidence) -> int:
    """Until when the windows in the evidence keep a silence silent; -1 if there are none at its start."""
    windows = Maintenance()
    windows.restore(0, packed(evidence.maintenance))
    again_ms = windows.alerts_again_ms(0, episode.started_ms)
    return again_ms if again_ms > episode.started_ms else -1


def _shows_wrong_clock(episode: Episode, ts: I64, wrong: npt.NDArray[np.bool_]) -> bool:
    """Whether stamps, in the order of the log, have a run of wrong ones that begins and ends as published."""
    newest = np.maximum.accumulate(np.where(wrong, NEVER_MS, ts))
    starts = np.flatnonzero(wrong & ~np.concatenate([[False], wrong[:-1]]))
    ends = np.append(np.flatnonzero(~wrong), len(ts))  # of the last run there is none yet
    for first, after in zip(starts, ends[np.searchsorted(ends, starts)], strict=True):
        started_ms = newest[first] if newest[first] != NEVER_MS else ts[first]
        end_ms = max(started_ms, ts[after]) if after < len(ts) else None
        long_enough = after - first >= CLOCK_RUN_MIN
        if long_enough and (started_ms, end_ms) == (episode.started_ms, episode.end_ms):
            return True
    return False


def _carries(episode: Episode, batch: EventBatch) -> npt.NDArray[np.bool_]:
    """Which events carry the episode's parameter (all of them, where it is about the device)."""
    if not episode.parameter:
        return np.ones(len(batch), np.bool_)
    own = [code for code, stream in enumerate(batch.streams) if stream[0] == episode.application]
    codes = [code for code, name in enumerate(batch.names) if name == episode.parameter]
    event = np.repeat(np.arange(len(batch)), np.diff(batch.reading_offsets))
    found = np.zeros(len(batch), np.bool_)
    found[event[np.isin(batch.parameter, codes)]] = True
    return found & np.isin(batch.stream, own)
