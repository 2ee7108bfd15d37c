"""The whole model: what a log must lead to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from proof.model.corrections import correct
from proof.model.device import Device, Taken
from proof.model.digest import Sums, combined
from proof.model.dumps import DeviceDumps
from proof.model.episodes import Episode, of_log_silence
from proof.model.feedback import Said
from proof.model.inbox import Anomaly, Inbox
from proof.model.maintenance import Span
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
    SettingsChanged,
    Tick,
)
from proof.model.rules import Rules
from proof.model.verdicts import Verdict

Place = tuple[int, int, str]
"""A reading: (partition, offset of its event, parameter)."""


Heard = tuple[str, str, str, str, str]
"""A series as one detector hears of it: (tenant, device, application, parameter, detector)."""


class Reading(NamedTuple):
    """What a reading says."""

    device: str
    ts: int
    value: float


@dataclass(slots=True)
class Expected:
    """What a log must lead to, as `expected` finds it.

    - `counts`: by tenant, the terms of the conservation law and what corrections did; zeroes are left out.
    - `readings` and the `statuses` that they were first given.
    - `verdicts`: as first given, one for each scored reading and detector that runs. `final`: those that
      hold after corrections; a reading that a correction no longer scores keeps its first one.
    - `episodes`: each published state, in order: that of the log, within a partition.
    - `anomalies`: what the inbox makes of these, partition after partition.
    - `sums`: of `raw`, `scored` and `final`, by series; `totals`: over all of them; `digests`: combined.
    - `dumps`: by tenant and device, what became of its dumps.
    - `said`: what people said of a series that moved its limits, oldest first.
    - `windows`: by tenant and device with readings, the spans of its maintenance. `runs`: its application.
    - `pending`: devices with late readings that no correction has taken in.
    """

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    readings: dict[Place, Reading] = field(default_factory=dict)
    statuses: dict[Place, str] = field(default_factory=dict)
    verdicts: dict[tuple[Place, str], Verdict] = field(default_factory=dict)
    final: dict[tuple[Place, str], Verdict] = field(default_factory=dict)
    episodes: list[Episode] = field(default_factory=list)
    sums: dict[str, Sums] = field(default_factory=lambda: {"raw": Sums(), "scored": Sums(), "final": Sums()})
    dumps: dict[tuple[str, str], DeviceDumps] = field(default_factory=dict)
    said: dict[Heard, list[Said]] = field(default_factory=dict)
    windows: dict[tuple[str, str], list[Span]] = field(default_factory=dict)
    runs: dict[tuple[str, str], str] = field(default_factory=dict)
    pending: int = 0

    @property
    def totals(self) -> dict[str, str]:
        """The sums over everything, as a partition's commit holds them where there is but one."""
        return {name: sums.total() for name, sums in self.sums.items()}

    @property
    def digests(self) -> dict[str, str]:
        """As `tocsin digest` and a backtest print them."""
        return {name: combined(sums) for name, sums in self.sums.items()}

    def anomalies(self, episodes: Iterable[Episode] | None = None) -> list[Anomaly]:
        """What an inbox with the default windows shows that folds the episodes in their order, or in this."""
        inbox = Inbox()
        inbox.fold(self.episodes if episodes is None else episodes)
        return inbox.anomalies()


def expected(records: Iterable[Record], *, correct_at_end: bool = False) -> Expected:
    """What these records must lead to; `correct_at_end`: after a correction of every device in need.

    They come in the order of their offsets within each partition; partitions may be mixed. A control record
    acts in its own partition, as in a log that holds a copy in each.
    """
    result = Expected()
    partitions: dict[int, _Partition] = {}
    for record in records:
        partitions.setdefault(record.partition, _Partition(result)).apply(record)
    for partition in partitions.values():
        if correct_at_end:
            partition.correct_all()
        partition.finish()
    return result


@dataclass(slots=True)
class _Tenant:
    """The devices of a tenant in one partition, in the order in which they appeared."""

    rules: Rules = field(default_factory=Rules)
    devices: dict[str, Device] = field(default_factory=dict)
    events: dict[str, list[Event]] = field(default_factory=dict)
    quarantines: dict[str, list[tuple[int, float]]] = field(default_factory=dict)
    dumps: dict[str, DeviceDumps] = field(default_factory=dict)
    gap_wait_s: int = 25_200
    watches_dumps: bool = False

    def quarantined(self, device: str, offset: int) -> bool:
        """Whether a record comes between a quarantine of the device and its release."""
        return any(first < offset < last for first, last in self.quarantines.get(device, []))


class _Partition:
    """One partition on its way through the log."""

    def __init__(self, result: Expected) -> None:
        self._result = result
        self._tenants: dict[str, _Tenant] = {}

    def apply(self, record: Record) -> None:
        """The next record."""
        match record:
            case Event():
                self._event(record)
            case LineCame():
                self._result.counts.setdefault(record.tenant, Counter())["log_lines"] += 1
            case SettingsChanged():
                self._settings(record)
            case Tick():
                self._tick(record)
            case Quarantine():
                self._quarantine(record)
            case FeedbackGiven():
                self._feedback(record)
            case MaintenanceSet():
                self._maintain(record)
            case Correct():
                self._correct(record)
            case DumpCame():
                self._dump(record)
            case GapGivenUp():
                self._gap(record)

    def correct_all(self) -> None:
        """Correct every device that has late readings."""
        for name, tenant in self._tenants.items():
            for device in [device for device in tenant.devices.values() if device.dirty]:
                self._correct_device(name, device.name)

    def finish(self) -> None:
        """Add the digests of what is known at the end."""
        for whose, tenant in self._tenants.items():
            self._finish_dumps(whose, tenant)
            for device in tenant.devices.values():
                self._result.pending += device.dirty
                self._result.windows[whose, device.name] = device.maintenance.spans
                self._result.runs[whose, device.name] = device.stream[0]
                for series, feedback in device.feedback.items():
                    if acting := feedback.acting:
                        self._result.said[whose, device.name, *series] = acting
                rows = {"raw": device.raw, "scored": device.said_first, "final": device.said}
                for name, sums in rows.items():
                    known = {series.key: 0 for series in device.series.values()} | sums
                    if not known.get(device.key):
                        known.pop(device.key, None)
                    for key, number in known.items():
                        self._result.sums[name].put(key, number)

    def _finish_dumps(self, name: str, tenant: _Tenant) -> None:
        for device, dumps in tenant.dumps.items():
            self._result.dumps[name, device] = dumps
            for place, number in dumps.order.places().items():
                self._counts(name)[f"dumps_{place}"] += number

    def _tenant(self, name: str) -> _Tenant:
        return self._tenants.setdefault(name, _Tenant())

    def _counts(self, tenant: str) -> Counter[str]:
        return self._result.counts.setdefault(tenant, Counter())

    def _event(self, event: Event) -> None:
        tenant = self._tenant(event.tenant)
        if event.device not in tenant.devices:
            tenant.devices[event.device] = Device(event.tenant, event.device, tenant.rules.copy())
        device = tenant.devices[event.device]
        before = device.too_late
        taken = device.take(event, quarantined=tenant.quarantined(event.device, event.offset))
        tenant.events.setdefault(event.device, []).append(event)
        counts = self._counts(event.tenant)
        counts.update(taken.statuses)
        counts["accepted"] += len(taken.statuses) + event.texts
        counts["unscored_text"] += event.texts
        counts["late_beyond_correction"] += device.too_late - before
        counts["events"] += 1
        self._publish(event, taken)

    def _publish(self, event: Event, taken: Taken) -> None:
        for (name, value), status in zip(event.readings, taken.statuses, strict=True):
            place = (event.partition, event.offset, name)
            self._result.readings[place] = Reading(event.device, event.ts, value)
            self._result.statuses[place] = status
        self._hold(event, taken, self._result.verdicts)
        self._hold(event, taken, self._result.final)
        self._result.episodes += taken.episodes

    def _hold(self, event: Event, taken: Taken, held: dict[tuple[Place, str], Verdict]) -> None:
        for verdict in taken.verdicts:
            held[(event.partition, event.offset, verdict.key.parameter), verdict.detector] = verdict

    def _settings(self, record: SettingsChanged) -> None:
        tenant = self._tenant(record.tenant)
        tenant.rules.change(record.effective_ms, record.settings)
        tenant.gap_wait_s = record.settings.gap_wait_s
        tenant.watches_dumps = record.settings.dump_detectors
        for device in tenant.devices.values():
            device.rules.change(max(record.effective_ms, device.newest_ms + 1), record.settings)

    def _tick(self, record: Tick) -> None:
        for tenant in self._tenants.values():
            for dumps in tenant.dumps.values():
                dumps.order.tick(record.now_ms)
            for device in tenant.devices.values():
                if not tenant.quarantined(device.name, record.offset):
                    self._result.episodes += device.tick(record.now_ms)
        self._logs_stay_away(record.now_ms)

    def _quarantine(self, record: Quarantine) -> None:
        tenant = self._tenant(record.tenant)
        for name in record.devices:
            if name not in tenant.devices:
                continue
            spans = tenant.quarantines.setdefault(name, [])
            lasts = bool(spans) and spans[-1][1] == float("inf")
            if record.released and lasts:
                spans[-1] = (spans[-1][0], record.offset)
            elif not record.released and not lasts:
                spans.append((record.offset, float("inf")))

    def _feedback(self, record: FeedbackGiven) -> None:
        device = self._tenant(record.tenant).devices.get(record.device)
        if device is not None and device.hear(record):
            self._correct_device(record.tenant, record.device)

    def _maintain(self, record: MaintenanceSet) -> None:
        devices, dumps = self._tenant(record.tenant).devices, self._tenant(record.tenant).dumps
        for name in record.devices:
            if name in dumps:
                self._known(record.tenant, name)
            if name in devices:
                devices[name].maintenance.hear(record, devices[name].newest_ms)

    def _dump(self, dump: DumpCame) -> None:
        tenant = self._tenant(dump.tenant)
        self._counts(dump.tenant)["dumps_received"] += 1
        dumps = tenant.dumps.setdefault(dump.device, DeviceDumps())
        if not dumps.receive(dump, watched=tenant.watches_dumps):
            return
        told, began_ms, ended_ms = dumps.silence.hear(dump, tenant.rules.versions[-1][1])
        if told == "nothing":
            return
        device = self._known(dump.tenant, dump.device)
        if told == "withdrawn":
            self._result.episodes.append(device.ledger.withdraw(device.key, "logs_silent", dump.version))
            return
        again_ms = device.maintenance.again_ms(began_ms)
        stream = (dump.application, dump.version)
        episode = of_log_silence(device.key, stream, began_ms, ended_ms, again_ms)
        self._result.episodes.append(device.tell(episode))

    def _logs_stay_away(self, now_ms: int) -> None:
        """What a tick shows of devices whose logs are due."""
        for whose, tenant in sorted(self._tenants.items()):
            for name, dumps in sorted(tenant.dumps.items()):
                began_ms = dumps.silence.revealed(now_ms)
                if began_ms is None:
                    continue
                device = self._known(whose, name)
                again_ms = device.maintenance.again_ms(began_ms)
                if now_ms <= again_ms:
                    continue
                dumps.silence.told = began_ms
                stream = dumps.silence.heard[-1].stream
                episode = of_log_silence(device.key, stream, began_ms, None, again_ms)
                self._result.episodes.append(device.tell(episode))

    def _known(self, tenant_name: str, name: str) -> Device:
        """A device, which becomes known by its dumps if it was not."""
        tenant = self._tenant(tenant_name)
        if name not in tenant.devices:
            tenant.devices[name] = Device(tenant_name, name, tenant.rules.copy())
        return tenant.devices[name]

    def _gap(self, gap: GapGivenUp) -> None:
        tenant = self._tenant(gap.tenant)
        if gap.device not in tenant.dumps:
            return
        dumps = tenant.dumps[gap.device]
        told = dumps.give_up(gap, wait_ms=tenant.gap_wait_s * 1000, watched=tenant.watches_dumps)
        self._result.episodes += [self._known(gap.tenant, gap.device).tell(episode) for episode in told]

    def _correct(self, record: Correct) -> None:
        for name in record.devices:
            self._correct_device(record.tenant, name)

    def _correct_device(self, tenant_name: str, name: str) -> None:
        tenant = self._tenant(tenant_name)
        if name not in tenant.devices:
            return
        live, events = tenant.devices[name], tenant.events.get(name, [])
        done = correct(live, events, lambda offset: tenant.quarantined(name, offset))
        tenant.devices[name] = done.device
        self._result.episodes += done.revisions
        for event, taken in done.derived:
            self._hold(event, taken, self._result.final)
        counts = self._counts(tenant_name)
        counts["corrections"] += 1
        counts["corrected_readings"] += sum(taken.statuses.count("scored") for _, taken in done.derived)
        counts["revised_episodes"] += len(done.revisions)
