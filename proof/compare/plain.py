"""Values of the product as the model's plain ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from proof.model.digest import Key
from proof.model.episodes import Episode
from proof.model.feedback import Said
from proof.model.inbox import Anomaly
from proof.model.maintenance import Span
from proof.model.people import Deed
from proof.model.records import (
    Correct,
    DumpCame,
    Event,
    FeedbackGiven,
    GapGivenUp,
    LineCame,
    MaintenanceSet,
    Quarantine,
    Record,
    Settings,
    SettingsChanged,
    Tick,
)
from proof.model.run import Heard
from proof.model.verdicts import Score, Verdict
from tocsin import control, model
from tocsin.detectors.registry import detector
from tocsin.inbox.abstract import Anomaly as ProductAnomaly
from tocsin.inbox.action import ActionKind, Recorded
from tocsin.log.abstract import Record as LogRecord
from tocsin.processing import maintenance
from tocsin.processing.batching import Decision, Events, batches
from tocsin.processing.feedback import acted
from tocsin.processing.judging import Judged
from tocsin.processing.state import PartitionState

STATUSES = {int(status): status.name.lower() for status in model.Status}


def records(log: Iterable[LogRecord]) -> Iterator[Record]:
    """The records of a log, of one partition or several."""
    for record in log:
        for item in batches([record]):
            if isinstance(item, Decision):
                yield from _decision(record.partition, item)
            else:
                yield from _events(record.partition, item)


def _events(partition: int, events: Events) -> Iterator[Event | LineCame]:
    batch = events.batch
    edges, names = batch.reading_offsets.tolist(), [batch.names[code] for code in batch.parameter.tolist()]
    values, devices, texts = batch.value.tolist(), batch.device.tolist(), batch.text_count.tolist()
    columns = zip(batch.flags.tolist(), batch.stream.tolist(), batch.ts.tolist(), strict=True)
    for row, (offset, (flags, stream, ts)) in enumerate(zip(events.offsets.tolist(), columns, strict=True)):
        own = slice(edges[row], edges[row + 1])
        if flags & model.Flag.LOG_LINE:
            yield LineCame(partition, offset, events.tenant)
            continue
        application, version = batch.streams[stream]
        yield Event(
            partition=partition,
            offset=offset,
            tenant=events.tenant,
            device=devices[row],
            application=application,
            version=version,
            ts=ts,
            live=bool(flags & model.Flag.LIVE),
            clock_wrong=bool(flags & model.Flag.CLOCK_WRONG),
            readings=tuple(zip(names[own], values[own], strict=True)),
            texts=texts[row],
        )


def _decision(partition: int, item: Decision) -> Iterator[Record]:
    decision, offset = item.control, item.offset
    match decision:
        case control.SettingsChanged():
            yield SettingsChanged(
                partition, offset, decision.tenant, decision.effective_ms, settings(decision.settings)
            )
        case control.Tick():
            yield Tick(partition, offset, decision.now_ms)
        case control.Correct():
            yield Correct(partition, offset, decision.tenant, decision.devices)
        case control.Quarantine():
            yield Quarantine(partition, offset, decision.tenant, decision.devices, decision.released)
        case control.FeedbackGiven():
            series = tuple((each.application, each.parameter, each.detector) for each in decision.series)
            yield FeedbackGiven(
                partition,
                offset,
                decision.tenant,
                decision.device,
                decision.kind.value,
                series,
                decision.action,
                decision.spans,
            )
        case control.MaintenanceSet():
            yield MaintenanceSet(
                partition,
                offset,
                decision.tenant,
                decision.window,
                decision.effective_ms,
                decision.devices,
                decision.spans,
                decision.no_alert,
                decision.no_learn,
            )
        case control.DumpReceived():
            yield DumpCame(
                partition,
                offset,
                decision.tenant,
                decision.device,
                decision.epoch,
                decision.sequence,
                decision.sha256,
                decision.outcome.value,
                decision.application,
                decision.version,
                decision.collected_to_ms,
                decision.received_ms,
            )
        case control.GapGivenUp():
            yield GapGivenUp(
                partition,
                offset,
                decision.tenant,
                decision.device,
                decision.epoch,
                decision.from_sequence,
                decision.to_sequence,
                decision.at_ms,
                decision.waited_ms,
            )
        case control.DumpDetectorFailed():
            pass  # neither order nor readings hang on it


def settings(found: control.Settings) -> Settings:
    """Settings without what changes no verdict."""
    return Settings(
        timezone=found.timezone,
        timezones=found.timezones,
        detectors=found.detectors,
        ranges={name: (limits.lower, limits.upper) for name, limits in found.parameters.items()},
        silence_intervals=found.silence_intervals,
        silence_min_s=found.silence_min_s,
        gap_wait_s=found.dumps.gap_wait_s,
        logs_silence_times=found.dumps.silence_times,
        logs_silence_min_s=found.dumps.silence_min_s,
        dump_detectors=bool(found.dump_detectors),
        **msgspec.structs.asdict(found.policy),
    )


def statuses(judged: Judged) -> Iterator[tuple[int, str, str]]:
    """(offset, parameter, status) of each reading."""
    batch = judged.batch
    edges, parameters, found = (
        batch.reading_offsets.tolist(),
        batch.parameter.tolist(),
        judged.status.tolist(),
    )
    for row, offset in enumerate(judged.offsets.tolist()):
        for reading in range(edges[row], edges[row + 1]):
            yield offset, batch.names[parameters[reading]], STATUSES[found[reading]]


def verdicts(judged: Judged) -> Iterator[Verdict]:
    """What each detector said, detector by detector."""
    batch, devices = judged.batch, judged.batch.device.tolist()
    streams, parameters, values = batch.stream.tolist(), batch.parameter.tolist(), batch.value.tolist()
    offsets, stamps = judged.offsets.tolist(), batch.ts.tolist()
    for found in judged.verdicts:
        reasons, said = detector(found.detector).info.reasons, found.scores
        numbers = (said.score, said.expected, said.lower, said.upper, said.verdict)
        reason = [reasons[number] for number in said.reason.tolist()]
        scores = map(Score, *(column.tolist() for column in numbers), reason)
        places = zip(found.gathered.row.tolist(), found.gathered.event.tolist(), scores, strict=True)
        for row, event, score in places:
            application, _ = batch.streams[streams[event]]
            key = Key(judged.tenant, application, devices[event], batch.names[parameters[row]])
            yield Verdict(key, offsets[event], stamps[event], values[row], found.detector, score)


def said(state: PartitionState) -> Iterator[tuple[Heard, list[Said]]]:
    """What people said of a partition's series, as far as it acts on them."""
    for tenant in state.tenants.values():
        for name, slot in tenant.slots.items():
            for series in range(tenant.series.count if slot.feedback.used else 0):
                if steps := [_said(each) for each in acted(slot.feedback.of(series))]:
                    key = tenant.series_key(series)
                    yield (tenant.tenant, key.device, key.application, key.parameter, name), steps


def windows(state: PartitionState) -> Iterator[tuple[tuple[str, str], list[Span]]]:
    """The spans of maintenance of each device of the partition that has any."""
    for tenant in state.tenants.values():
        for number in range(len(tenant.names)):
            told = maintenance.acted(tenant.maintenance.of(number))
            if spans := [
                Span(each.from_ms, each.until_ms, each.window, each.no_alert, each.no_learn) for each in told
            ]:
                yield (tenant.tenant, tenant.names.name(number)), spans


def _said(step: model.FeedbackActed) -> Said:
    return Said(
        control.kind_of(step).value,
        step.from_ms,
        step.steps,
        step.steps_before,
        step.action,
        step.until_ms,
        frozenset(step.hours),
    )


def episode(found: model.Episode) -> Episode:
    """An episode without its sentence and its evidence."""
    fields = {name: getattr(found, name) for name in Episode.__dataclass_fields__}
    return Episode(**fields | {"severity": found.severity.value, "suppressed": bool(found.suppressed)})


def anomaly(found: ProductAnomaly) -> Anomaly:
    """An anomaly without its sentence."""
    fields = {name: getattr(found, name) for name in Anomaly.__dataclass_fields__}
    words = {name: fields[name].value for name in ("severity", "condition", "handling")}
    return Anomaly(**fields | words)


def deed(found: Recorded) -> Deed:
    """An action, as far as it was done."""
    action = found.action
    done = tuple(outcome.id for outcome in found.outcomes if not outcome.code)
    return Deed(
        found.sequence,
        found.position,
        action.kind.value,
        action.at_ms,
        done[:1] if action.kind is ActionKind.SPLIT else done,
        action.until_ms,
        action.assignee,
        tuple(dict.fromkeys(action.episodes)),
        action.undoes,
    )
