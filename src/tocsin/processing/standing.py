"""Episodes as they stand now: they grow between the states that are published. Nothing is stored."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from tocsin.events import Strings
from tocsin.model import Episode
from tocsin.processing import dump_silence
from tocsin.processing.episodes import NOTICE_STATE, facts_of, told_of
from tocsin.processing.rows import OPEN
from tocsin.processing.state import Known, TenantState
from tocsin.processing.wording import notice_sentence


def lasting_ids(state: TenantState, devices: Collection[str]) -> set[str]:
    """The episodes of these devices that have not ended."""
    numbers = state.names.find(Strings.of(list(devices))).tolist()
    return {item.id for number in numbers for item in state.known.get(number, ()) if item.end_ms is None}


def as_it_stands(episode: Episode, state: TenantState, now_ms: int) -> Episode:
    """The episode with span, peak and sentence as of the newest record; `now_ms` is for silences.

    One that has ended, or that the state no longer knows, comes back as it is. The evidence stays that of
    the published state, whose explanation `tocsin explain` derives again.
    """
    number = state.device_number(episode.device)
    if number is None or episode.end_ms is not None or episode.retracted:
        return episode
    known = next((item for item in state.known.get(number, ()) if item.id == episode.id), None)
    if known is None or known.end_ms is not None:
        return episode
    if episode.evidence is not None and episode.reason == dump_silence.REASON:
        until_ms = max(now_ms, episode.started_ms)
        sentence = dump_silence.silence_sentence(dump_silence.silence_of(episode.evidence), None, until_ms)
        return msgspec.structs.replace(episode, last_abnormal_ms=until_ms, explanation=sentence)
    if episode.evidence is not None and episode.reason in ("silent", "missing"):
        return _notice(episode, state, number, episode.evidence.state, now_ms)
    return _run(episode, state, number, known)


def _run(episode: Episode, state: TenantState, device: int, known: Known) -> Episode:
    slot = state.slots.get(episode.detector)
    if slot is None or known.series < 0:
        return episode
    run = slot.policy.rows[known.series]
    if run["phase"] < OPEN or run["started_ms"] != episode.started_ms:
        return episode
    settings = state.timeline.settings[state.timeline.version_at(device, int(run["peak_ms"]))]
    reason = slot.detector.info.reasons[int(run["reason"])]
    facts = facts_of(run, episode.parameter, reason, settings)
    return msgspec.structs.replace(episode, reason=reason, **told_of(slot.detector, facts))


def _notice(episode: Episode, state: TenantState, device: int, before: bytes, now_ms: int) -> Episode:
    started_ms, interval_ms, limit_ms, _ = NOTICE_STATE.unpack(before)
    newest_ms = int(state.devices.rows[device]["newest_ms"])
    until_ms = max(started_ms, newest_ms if episode.reason == "missing" else now_ms)
    sentence = notice_sentence(
        episode.reason, episode.parameter, started_ms, None, until_ms, interval_ms, limit_ms
    )
    return msgspec.structs.replace(episode, last_abnormal_ms=until_ms, explanation=sentence)
