"""The episode of a device whose logs stay away: told by a tick or by the next dump, and its proof."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from tocsin.control import DumpDecision, DumpReceived, DumpRules, Tick
from tocsin.events import Strings
from tocsin.model import Episode, Evidence, SeriesKey
from tocsin.processing.controls import Applied
from tocsin.processing.dump_order import DumpOrder, DumpPlace, Moved
from tocsin.processing.dump_pace import DumpPace, Silence, begun
from tocsin.processing.episodes import (
    DUMP_DETECTOR,
    Draft,
    Withdrawal,
    episode_without_readings,
    evidence_without_readings,
    identity,
    publish,
    seal,
)
from tocsin.processing.maintenance import Maintenance, packed
from tocsin.processing.proof import Proof
from tocsin.processing.state import PartitionState, TenantState
from tocsin.processing.wording import duration

REASON: Final = "logs_silent"
_STATE_VERSION: Final = 1
_STATE: Final = struct.Struct("<qqqdqq")
"""The fields of a Silence, in their order."""


@dataclass(frozen=True, slots=True)
class _Told:
    """A silence as a record at `offset`, of the time `at_ms`, shows it: `end_ms` is None while it lasts."""

    silence: Silence
    end_ms: int | None
    at_ms: int
    application: str
    version: str
    partition: int
    offset: int


def hear(dump: DumpReceived, moved: Moved, offset: int, state: PartitionState) -> list[Episode]:
    """Take a dump into the pace of its device, and tell the silence that it ends or takes back.

    A repeated dump and one in conflict say nothing. Where silences are not told, nothing is learnt.
    """
    order, rules = state.dumps.find(dump.tenant, dump.device), state.settings_of(dump.tenant).dumps
    if order is None or not _is_heard(dump, moved):
        return []
    told: list[Episode] = []
    if order.pace is not None:
        told = _gone_on(order.pace, dump, offset, state)
        if not rules.silence_times and not order.pace.told:
            order.pace = None
    elif rules.silence_times:
        order.pace = begun(dump, offset, rules)
    state.dumps.await_next(dump.tenant, dump.device)
    return told


def _gone_on(pace: DumpPace, dump: DumpReceived, offset: int, state: PartitionState) -> list[Episode]:
    lasted = pace.told
    ended = pace.hear(dump, state.settings_of(dump.tenant).dumps)
    tenant = state.tenant(dump.tenant)
    if ended is not None:
        at_ms = pace.heard_ms
        told = _Told(ended, at_ms, at_ms, dump.application, dump.version, state.partition, offset)
        return _publish(told, dump.device, tenant)
    if lasted and not pace.told:
        number = _number_of(tenant, dump.device, dump.application, dump.version)
        return publish([Withdrawal(-1, number, -1, REASON, dump.version)], tenant)
    return []


def reveal(tick: Tick, offset: int, state: PartitionState, applied: Applied | None) -> list[Episode]:
    """The silences that a tick shows. Those within maintenance are shown by one behind that."""
    found: list[Episode] = []
    below = None if applied is None else applied.below
    for name, device, pace in state.dumps.silent(tick.now_ms, offset, below):
        tenant, silence = state.tenant(name), pace.silence
        number = _number_of(tenant, device, pace.application, pace.version)
        if tick.now_ms > tenant.maintenance.alerts_again_ms(number, silence.started_ms):
            pace.told = True
            told = _Told(silence, None, tick.now_ms, pace.application, pace.version, state.partition, offset)
            found += _publish(told, device, tenant)
        state.dumps.await_next(name, device)
    return found


def _publish(told: _Told, device: str, tenant: TenantState) -> list[Episode]:
    number = _number_of(tenant, device, told.application, told.version)
    windows = tenant.maintenance
    start_ms = told.silence.started_ms
    again_ms = windows.alerts_again_ms(number, start_ms)
    episode = _episode(told, tenant.tenant, device, again_ms)
    evidence = episode.evidence
    if evidence is None:
        raise RuntimeError("a silence has evidence")
    evidence = msgspec.structs.replace(evidence, maintenance=windows.between(number, start_ms, told.at_ms))
    episode = msgspec.structs.replace(
        episode,
        suppressed=windows.silencing(number, start_ms) if _is_within(told, again_ms) else "",
        evidence=msgspec.structs.replace(evidence, seal=seal(evidence)),
    )
    return publish([Draft(-1, number, -1, episode)], tenant)


def _is_within(told: _Told, again_ms: int) -> bool:
    """Whether maintenance lasted from before its start to behind its end."""
    return again_ms > told.silence.started_ms and told.end_ms is not None and told.end_ms <= again_ms


def _episode(told: _Told, tenant: str, device: str, again_ms: int) -> Episode:
    silence, start_ms, end_ms = told.silence, told.silence.started_ms, told.end_ms
    return episode_without_readings(
        identity(SeriesKey(tenant, "", device, ""), f"{DUMP_DETECTOR}.{REASON}", str(start_ms)),
        SeriesKey(tenant, told.application, device, ""),
        version=told.version,
        cause=(DUMP_DETECTOR, REASON),
        started_ms=start_ms,
        opened_ms=start_ms if _is_within(told, again_ms) else again_ms,
        end_ms=end_ms,
        explanation=silence_sentence(silence, end_ms, told.at_ms),
        evidence=evidence_without_readings(
            silence.heard_ms,
            told.at_ms,
            partition=told.partition,
            before_offset=told.offset + 1,
            state=_STATE.pack(*msgspec.structs.astuple(silence)),
            state_version=_STATE_VERSION,
        ),
    )


def silence_sentence(silence: Silence, end_ms: int | None, at_ms: int) -> str:
    """How long logs have stayed away, and what is usual.

    >>> half_an_hour = 1_800_000
    >>> rules = {"times": 2.0, "least_s": 60, "first_offset": 0}
    >>> said = Silence(heard_ms=0, usual_ms=half_an_hour, limit_ms=2 * half_an_hour, **rules)
    >>> silence_sentence(said, None, 7_200_000)
    'no logs were received for 2 hours; at this time of the day it sends some at least every 30 minutes'
    """
    usual = f"time of the day it sends some at least every {duration(silence.usual_ms)}"
    if end_ms is None:
        return f"no logs were received for {duration(at_ms - silence.heard_ms)}; at this {usual}"
    return f"it wrote no logs for {duration(end_ms - silence.heard_ms)}; at that {usual}"


def silence_of(evidence: Evidence) -> Silence:
    """What an episode's evidence says of it."""
    return Silence(**dict(zip(Silence.__struct_fields__, _STATE.unpack(evidence.state), strict=True)))


def prove_silence(episode: Episode, decisions: Sequence[tuple[int, DumpDecision]]) -> Proof:
    """Derive the episode again from the device's decisions about dumps, by offset; all from the first on."""
    evidence = episode.evidence
    if evidence is None or seal(evidence) != evidence.seal:
        return Proof(False, 0, ("the evidence was altered: it does not match its seal",))
    silence, last = silence_of(evidence), evidence.before_offset - 1
    rules = DumpRules(silence_times=silence.times, silence_min_s=silence.least_s)
    order, pace, dumps = DumpOrder(), None, 0
    ended: Silence | None = None
    end: DumpReceived | None = None
    for offset, decision in decisions:
        if offset > last or not isinstance(decision, DumpReceived):
            continue  # no gap that is given up makes a dump a repeated one
        dumps += 1
        moved = order.receive(decision)
        if offset < silence.first_offset or not _is_heard(decision, moved):
            continue
        if pace is None:
            pace = begun(decision, offset, rules)
            continue
        ended = pace.hear(decision, rules)
        end = decision
    if pace is None:
        return Proof(False, dumps, ("the log holds no dump of the device",))
    lasts = episode.end_ms is None
    derived = pace.silence if lasts else ended
    if derived is None or (lasts and (pace.due_ms is None or pace.due_ms >= evidence.to_ms)):
        return Proof(False, dumps, ("its logs did not stay away for longer than their limit",))
    stream = (pace.application, pace.version) if lasts or end is None else (end.application, end.version)
    told = _Told(derived, None if lasts else pace.heard_ms, evidence.to_ms, *stream, evidence.partition, last)
    windows = Maintenance()
    windows.restore(0, packed(evidence.maintenance))
    again_ms = windows.alerts_again_ms(0, derived.started_ms)
    fresh = _episode(told, episode.tenant, episode.device, again_ms)
    differences = [
        f"{name}: {getattr(fresh, name)} was derived, {getattr(episode, name)} was published"
        for name in Episode.__struct_fields__
        if name not in {"id", "revision", "suppressed", "evidence"}
        and getattr(fresh, name) != getattr(episode, name)
    ]
    if bool(episode.suppressed) != _is_within(told, again_ms):
        differences.append("maintenance: who was to be alerted is not what the windows say")
    if silence != derived:
        differences.append(f"pace: {derived} was derived, {silence} was published")
    return Proof(not differences, dumps, tuple(differences))


def _is_heard(dump: DumpReceived, moved: Moved) -> bool:
    """Whether a dump says when its device has written; releases before kept no time of arrival."""
    return dump.received_ms > 0 and not moved.counts.keys() & {DumpPlace.DUPLICATE, DumpPlace.CONFLICT}


def _number_of(tenant: TenantState, device: str, application: str, version: str) -> int:
    """The device's number in the state; it becomes known by its logs if it was not."""
    number = int(tenant.add_devices(Strings.of([device]))[0])
    row = tenant.devices.rows[number]
    if row["newest_ms"] < 0 and row["first_series"] < 0:
        row["stream"] = tenant.number_streams([(application, version)])[0]
    return number
