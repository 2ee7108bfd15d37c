"""Fifth step: episodes with their sentences and evidence, from the turns of runs and from notices."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import msgspec
import numpy as np
import numpy.typing as npt
import xxhash

from tocsin.control import Settings
from tocsin.detectors.abstract import NEVER_MS, EpisodeFacts, SeriesDetector
from tocsin.events import I32, I64
from tocsin.model import DumpEvidence, Episode, Evidence, SeriesKey, Severity
from tocsin.processing import policies
from tocsin.processing.hashing import MASK_128, join, names_hash, split
from tocsin.processing.notices import MISSING_WITHDRAWN, SILENCE_ENDED, SILENCE_STARTED, SILENCE_WITHDRAWN
from tocsin.processing.ordering import Gathered
from tocsin.processing.retractions import BY_RECORDS, retracted
from tocsin.processing.rows import SUPPRESSED
from tocsin.processing.state import Known, Slot, TenantState
from tocsin.processing.wording import duration, notice_sentence

KNOWN_MAX: Final = 1000
"""Episodes remembered per device for corrections; older ones are no longer revised."""

DEVICE_DETECTOR: Final = "health"
DUMP_DETECTOR: Final = "dumps"
DEVICE_REASONS: Final = ("silent", "missing", "clock")
_NOTICE_REASONS: Final = ("silent", "silent", "silent", "missing", "missing", "missing", "clock", "clock")
NOTICE_STATE: Final = struct.Struct("<qddq")


@dataclass(frozen=True, slots=True)
class Source:
    """Where a batch came from: the partition, each event's offset, and the state's number of its stream."""

    partition: int
    offsets: I64
    streams: I32


@dataclass(frozen=True, slots=True)
class Draft:
    """An episode that is not published yet, with the row of the event that showed it (-1 = a tick).

    `device` and `series` are numbers in the state; series -1 = the device as a whole.
    """

    event: int
    device: int
    series: int
    episode: Episode


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A device-level episode that lasts is retracted; `version` is that of the event that shows it."""

    event: int
    device: int
    series: int
    reason: str
    version: str


@dataclass(frozen=True, slots=True)
class Seen:
    """Which records a state of an episode rests on, as its evidence names them."""

    partition: int
    before_offset: int
    sorted_below: int
    quarantines: tuple[tuple[int, int | None], ...]


def drafts_of_turns(
    turns: npt.NDArray[Any], gathered: Gathered, slot: Slot, state: TenantState, source: Source
) -> list[Draft]:
    """The episodes that opened, worsened or closed, in the order of the readings."""
    found = []
    for turn in turns:
        series, event = int(turn["series"]), int(gathered.event[turn["reading"]])
        device = int(state.series.rows[series]["device"])
        seen = _seen(int(source.offsets[event]), device, state, source)
        version = state.streams[source.streams[event]][1]
        found.append(Draft(event, device, series, _of_turn(turn, slot, state, version, seen)))
    return found


def drafts_of_notices(
    notices: npt.NDArray[Any], state: TenantState, source: Source, tick_offset: int = -1
) -> list[Draft | Withdrawal]:
    """The device-level episodes that started or ended; `tick_offset` is that of the tick that showed them."""
    found: list[Draft | Withdrawal] = []
    for notice in notices:
        event, device, series = int(notice["event"]), int(notice["device"]), int(notice["series"])
        offset = int(source.offsets[event]) if event >= 0 else tick_offset
        number = source.streams[event] if event >= 0 else state.devices.rows[device]["stream"]
        stream = state.streams[number]
        if notice["kind"] in (SILENCE_WITHDRAWN, MISSING_WITHDRAWN):
            reason = _NOTICE_REASONS[notice["kind"]]
            found.append(Withdrawal(event, device, series, reason, stream[1]))
            continue
        seen = _seen(offset, device, state, source)
        found.append(Draft(event, device, series, _of_notice(notice, state, stream, seen)))
    return found


def lasting(state: TenantState, device: int, reason: str, series: int = -1) -> list[Known]:
    """The device-level episode that has been revealed and has not ended, if there is one."""
    known = state.known.get(device, [])
    return [item for item in known if (item.reason, item.series, item.end_ms) == (reason, series, None)]


def publish(drafts: Sequence[Draft | Withdrawal], state: TenantState) -> list[Episode]:
    """Publish in the order of the events, whatever a batch holds besides; closed ones enter the digest."""
    found = []
    for draft in sorted(drafts, key=lambda draft: draft.event):
        if isinstance(draft, Withdrawal):
            found += _withdraw(draft, state)
        else:
            found.append(_publish(draft.episode, draft.device, draft.series, state))
    return found


def seal(evidence: Evidence) -> str:
    """xxh3_128 over everything in the evidence but the seal itself, as hex."""
    sealed = msgspec.structs.asdict(evidence) | {"seal": ""}
    if evidence.dumps is None:
        del sealed["dumps"]  # so that what was sealed before there were dumps keeps its seal
    for name in ("feedback", "maintenance"):
        if not sealed[name]:
            del sealed[name]  # the same
    return xxhash.xxh3_128_hexdigest(msgspec.msgpack.encode(sealed))


def episode_without_readings(
    id_: str,
    key: SeriesKey,
    *,
    version: str,
    cause: tuple[str, str],
    started_ms: int,
    opened_ms: int,
    end_ms: int | None,
    explanation: str,
    evidence: Evidence,
    suppressed: str = "",
) -> Episode:
    """One that rests on a decision, a tick or what was not received; `cause` is its detector and reason.

    A warning with no values. `key` is whom it is about; its parameter is empty for a device as a whole.
    """
    return Episode(
        id=id_,
        tenant=key.tenant,
        application=key.application,
        version=version,
        device=key.device,
        parameter=key.parameter,
        detector=cause[0],
        reason=cause[1],
        severity=Severity.WARNING,
        started_ms=started_ms,
        opened_ms=opened_ms,
        end_ms=end_ms,
        last_abnormal_ms=started_ms if end_ms is None else end_ms,
        peak_ms=started_ms,
        readings=0,
        value=0.0,
        expected=0.0,
        lower=0.0,
        upper=0.0,
        score=1.0,
        suppressed=suppressed,
        explanation=explanation,
        evidence=evidence,
    )


def evidence_without_readings(
    from_ms: int,
    to_ms: int,
    *,
    partition: int,
    before_offset: int,
    state: bytes = b"",
    state_version: int = 0,
    dumps: DumpEvidence | None = None,
) -> Evidence:
    """Sealed, for an episode that rests on dumps or on a decision in the log."""
    evidence = Evidence(
        from_ms=from_ms,
        to_ms=to_ms,
        partition=partition,
        before_offset=before_offset,
        sorted_below=0,
        state=state,
        state_version=state_version,
        cells=(),
        settings=(),
        rows_digest="0" * 32,
        dumps=dumps,
    )
    return msgspec.structs.replace(evidence, seal=seal(evidence))


def episode_digest(episode: Episode) -> int:
    """128-bit hash of an episode's final fields; id, version, sentence, evidence and revision stay out."""
    facts = (
        episode.tenant,
        episode.application if episode.parameter else "",
        episode.device,
        episode.parameter,
        episode.detector,
        episode.reason,
        episode.severity.value,
        episode.started_ms,
        episode.opened_ms,
        episode.end_ms,
        episode.last_abnormal_ms,
        episode.peak_ms,
        episode.readings,
        *(struct.pack("<d", number) for number in _numbers(episode)),
        *(("suppressed",) if episode.suppressed else ()),
    )
    return xxhash.xxh3_128_intdigest(msgspec.msgpack.encode(facts))


def add_to_digest(number: int, device: int, series: int, state: TenantState) -> None:
    """Add a hash (negative: take it out) to the digest `scored` of a series, or of its device where -1."""
    row = state.series.rows[series] if series >= 0 else state.devices.rows[device]
    row["scored_low"], row["scored_high"] = split(join(row["scored_low"], row["scored_high"]) + number)
    state.scored_total[:] = split(join(*state.scored_total) + number)


def settings_between(
    state: TenantState, device: int, parameter: str, from_ms: int, to_ms: int
) -> tuple[tuple[int, bytes], ...]:
    """The settings that acted on a series in a span, each with the moment from which it acted."""
    timeline, name = state.timeline, state.names.name(device)
    first, last = timeline.version_at(device, from_ms), timeline.version_at(device, to_ms)
    return tuple(
        (
            int(timeline.acts_ms[version, device]) if version > first else NEVER_MS,
            _settings_of(timeline.settings[version], name, parameter),
        )
        for version in range(first, last + 1)
        if timeline.acts_ms[version, device] <= to_ms
    )


def _settings_of(settings: Settings, device: str, parameter: str) -> bytes:
    """The settings as far as they concern one series, as canonical JSON."""
    parameters = {parameter: settings.parameters[parameter]} if parameter in settings.parameters else {}
    own = msgspec.structs.replace(
        settings,
        timezone=settings.timezones.get(device, settings.timezone),
        timezones={},
        parameters=parameters,
    )
    return msgspec.json.encode(own, order="deterministic")


def _seen(offset: int, device: int, state: TenantState, source: Source) -> Seen:
    sorted_below = int(state.devices.rows[device]["sorted_below"])
    quarantines = tuple(state.quarantines.get(device, ()))
    return Seen(source.partition, max(offset + 1, sorted_below), sorted_below, quarantines)


def _numbers(episode: Episode) -> tuple[float, ...]:
    return (episode.value, episode.expected, episode.lower, episode.upper, episode.score)


def identity(key: SeriesKey, detector: str, start: str) -> str:
    """The id of an episode: the same in every run, whatever came between."""
    low, high = names_hash(key.tenant, key.application, key.device, key.parameter, detector, start)
    return f"ep_{high:016x}{low:016x}"


def _another_id(episode: Episode, number: int) -> str:
    """The id of the second, third … episode with the same series or device, detector and start."""
    application = episode.application if episode.parameter else ""
    key = SeriesKey(episode.tenant, application, episode.device, episode.parameter)
    notice = episode.detector == DEVICE_DETECTOR and episode.reason in DEVICE_REASONS
    detector = f"{DEVICE_DETECTOR}.{episode.reason}" if notice else episode.detector
    return identity(key, detector, f"{episode.started_ms}.{number}")


def _withdraw(draft: Withdrawal, state: TenantState) -> list[Episode]:
    """Retract what lasts and was not so; it is no longer known, only its revision."""
    device = draft.device
    gone = lasting(state, device, draft.reason, draft.series)
    state.known[device] = [item for item in state.known.get(device, []) if item not in gone]
    return [forget(retracted(item, state, device, draft.version, BY_RECORDS), state, device) for item in gone]


def _publish(episode: Episode, device: int, series: int, state: TenantState) -> Episode:
    """Remember the episode for corrections; one that has ended enters the digest.

    An episode that a correction has moved keeps the id and revision it had.
    """
    known, row = state.known.setdefault(device, []), episode_digest(episode)
    ended = episode.end_ms is not None
    if ended:
        add_to_digest(row, device, series, state)
    fresh = known_as(episode, series, row)
    same = [item for item in known if _is(item, fresh)]
    if same:
        first = {"id": same[0].id, "application": same[0].application, "revision": same[0].revision}
        episode = msgspec.structs.replace(episode, **first)
    else:
        episode = named(episode, known, state, device)
    fresh = known_as(episode, series, row)
    if is_underived(fresh):
        fresh = replace(
            fresh, digest=(_rows_of(same) + (row if episode.end_ms is not None else 0)) & MASK_128
        )
    state.known[device] = _bounded([*(item for item in known if not _is(item, fresh)), fresh])
    return episode


def named(episode: Episode, known: list[Known], state: TenantState, device: int) -> Episode:
    """A new episode under an id that no other has, with a revision above that of its retraction, if any.

    Its own id is taken where a correction has moved another episode that began at its start.
    """
    taken, number, id_ = {item.id for item in known}, 1, episode.id
    while id_ in taken:
        number += 1
        id_ = _another_id(episode, number)
    revision = state.retracted.get(device, {}).pop(id_, -1) + 1
    return msgspec.structs.replace(episode, id=id_, revision=revision)


def forget(episode: Episode, state: TenantState, device: int) -> Episode:
    """Remember no more of a retracted episode than its revision, so that revisions only rise."""
    revisions = state.retracted.setdefault(device, {})
    revisions.pop(episode.id, None)
    revisions[episode.id] = episode.revision
    if len(revisions) > KNOWN_MAX:
        del revisions[next(iter(revisions))]
    return episode


def cause(item: Known) -> tuple[str, int, str]:
    """What two states of one episode have in common; the reason of a run may change with its peak."""
    if item.detector == DUMP_DETECTOR:
        return item.detector, item.series, item.id
    return item.detector, item.series, item.reason if item.reason in DEVICE_REASONS else ""


def is_underived(item: Known) -> bool:
    """Whether no correction derives it: what it rests on are not the readings in order of time."""
    return item.reason == "clock" or item.detector == DUMP_DETECTOR


def _is(item: Known, other: Known) -> bool:
    """Whether two remembered episodes are the same."""
    return item.started_ms == other.started_ms and cause(item) == cause(other)


def _bounded(known: list[Known]) -> list[Known]:
    """The newest; of what is forgotten, the rows stay that no correction derives."""
    forgotten, kept = known[:-KNOWN_MAX], known[-KNOWN_MAX:]
    apart = [item for item in forgotten if is_underived(item)]
    return [replace(apart[-1], digest=_rows_of(apart)), *kept] if apart else kept


def _rows_of(items: list[Known]) -> int:
    """The sum of the rows that these episodes have in the digest."""
    return sum(item.digest for item in items) & MASK_128


def known_as(episode: Episode, series: int, digest: int) -> Known:
    """What to remember of an episode; `series` as the state numbers it."""
    return Known(
        id=episode.id,
        application=episode.application,
        detector=episode.detector,
        series=series,
        reason=episode.reason,
        started_ms=episode.started_ms,
        end_ms=episode.end_ms,
        revision=episode.revision,
        digest=digest,
    )


def _of_turn(turn: Any, slot: Slot, state: TenantState, version: str, seen: Seen) -> Episode:
    run, series = turn["run"], int(turn["series"])
    key, info = state.series_key(series), slot.detector.info
    settings = state.timeline.settings[int(turn["version"])]
    reason = info.reasons[int(run["reason"])]
    closed = int(turn["kind"]) == policies.CLOSED
    facts = facts_of(run, key.parameter, reason, settings)
    opened_ms, device = int(run["opened_ms"]), int(state.series.rows["device"][series])
    silent = int(run["phase"]) == SUPPRESSED
    return Episode(
        id=identity(key, info.name, str(facts.started_ms)),
        tenant=key.tenant,
        application=key.application,
        version=version,
        device=key.device,
        parameter=key.parameter,
        detector=info.name,
        reason=reason,
        severity=policies.SEVERITIES[int(run["severity"])],
        started_ms=facts.started_ms,
        opened_ms=opened_ms,
        end_ms=int(turn["at_ms"]) if closed else None,
        **told_of(slot.detector, facts),
        suppressed=state.maintenance.silencing(device, opened_ms) if silent else "",
        evidence=_evidence_of_turn(turn, slot, state, key.parameter, seen),
    )


def told_of(detector: SeriesDetector, facts: EpisodeFacts) -> dict[str, Any]:
    """The fields of an episode that grow with its run."""
    return {
        "last_abnormal_ms": facts.last_abnormal_ms,
        "peak_ms": facts.peak_ms,
        "readings": facts.readings,
        "value": facts.value,
        "expected": facts.expected,
        "lower": facts.lower,
        "upper": facts.upper,
        "score": facts.score,
        "explanation": _sentence(detector, facts),
    }


def facts_of(run: Any, parameter: str, reason: str, settings: Settings) -> EpisodeFacts:
    """What a row of the policy's runs says."""
    unit = settings.parameters[parameter].unit if parameter in settings.parameters else ""
    return EpisodeFacts(
        parameter=parameter,
        unit=unit,
        reason=reason,
        value=float(run["value"]),
        expected=float(run["expected"]),
        lower=float(run["lower"]),
        upper=float(run["upper"]),
        score=float(run["score"]),
        peak_ms=int(run["peak_ms"]),
        peak_local_offset_ms=int(run["peak_local_offset_ms"]),
        started_ms=int(run["started_ms"]),
        last_abnormal_ms=int(run["last_abnormal_ms"]),
        readings=int(run["readings"]),
    )


def _sentence(detector: SeriesDetector, facts: EpisodeFacts) -> str:
    """Why and for how long, in one sentence."""
    return f"{detector.explain(facts)}; abnormal for {duration(facts.last_abnormal_ms - facts.started_ms)}"


def _evidence_of_turn(turn: Any, slot: Slot, state: TenantState, parameter: str, seen: Seen) -> Evidence:
    series, run, until_ms = int(turn["series"]), turn["run"], int(turn["at_ms"])
    from_ms = int(run["started_ms"])
    device = int(state.series.rows["device"][series])
    cells = tuple(
        (capture.ts, capture.cells)
        for capture in slot.state.captures
        if capture.series == series and from_ms <= capture.ts <= until_ms
    )
    evidence = Evidence(
        from_ms=from_ms,
        to_ms=until_ms,
        partition=seen.partition,
        before_offset=seen.before_offset,
        sorted_below=seen.sorted_below,
        quarantines=seen.quarantines,
        state=slot.before_run(series, from_ms).tobytes(),
        state_version=slot.detector.state_version,
        cells=cells,
        settings=settings_between(state, device, parameter, from_ms, until_ms),
        rows_digest=f"{join(run['rows_low'], run['rows_high']):032x}",
        feedback=slot.feedback.between(series, from_ms, until_ms),
        maintenance=state.maintenance.between(device, from_ms, until_ms),
    )
    return msgspec.structs.replace(evidence, seal=seal(evidence))


def _of_notice(notice: Any, state: TenantState, stream: tuple[str, str], seen: Seen) -> Episode:
    device, series, kind = int(notice["device"]), int(notice["series"]), int(notice["kind"])
    name, reason = state.names.name(device), _NOTICE_REASONS[kind]
    key = state.series_key(series) if series >= 0 else SeriesKey(state.tenant, "", name, "")
    started_ms = int(notice["started_ms"])
    ended_ms = None if notice["ended_ms"] == NEVER_MS else int(notice["ended_ms"])
    at_ms, limit_ms = int(notice["at_ms"]), float(notice["limit_ms"])
    again_ms = state.maintenance.alerts_again_ms(device, started_ms) if reason == "silent" else started_ms
    over = again_ms > started_ms and ended_ms is not None and ended_ms <= again_ms
    return episode_without_readings(
        identity(key, f"{DEVICE_DETECTOR}.{reason}", str(started_ms)),
        msgspec.structs.replace(key, application=key.application if series >= 0 else stream[0]),
        version=stream[1],
        cause=(DEVICE_DETECTOR, reason),
        started_ms=started_ms,
        opened_ms=started_ms if over else again_ms,
        end_ms=ended_ms,
        suppressed=state.maintenance.silencing(device, started_ms) if over else "",
        explanation=notice_sentence(
            reason, key.parameter, started_ms, ended_ms, at_ms, float(notice["interval_ms"]), limit_ms
        ),
        evidence=_evidence_of_notice(notice, state, key.parameter, seen),
    )


def _evidence_of_notice(notice: Any, state: TenantState, parameter: str, seen: Seen) -> Evidence:
    started_ms, limit_ms = int(notice["started_ms"]), float(notice["limit_ms"])
    at_ms, from_ms = int(notice["at_ms"]), started_ms - int(np.int64(limit_ms))
    silent = int(notice["kind"]) in (SILENCE_STARTED, SILENCE_ENDED)
    acted_ms = from_ms if silent else at_ms  # a silence is judged by the settings of the stamp before it
    device = int(notice["device"])
    before = NOTICE_STATE.pack(started_ms, float(notice["interval_ms"]), limit_ms, int(notice["ended_ms"]))
    evidence = Evidence(
        from_ms=from_ms,
        to_ms=at_ms,
        partition=seen.partition,
        before_offset=seen.before_offset,
        sorted_below=seen.sorted_below,
        quarantines=seen.quarantines,
        state=before,
        state_version=1,
        cells=(),
        settings=settings_between(state, device, parameter, acted_ms, acted_ms),
        rows_digest="0" * 32,
        maintenance=state.maintenance.between(device, started_ms, at_ms) if silent else (),
    )
    return msgspec.structs.replace(evidence, seal=seal(evidence))
