"""One device: what each of its records does, one after another.

Follows docs/explanation/ordering-and-late-data.md and docs/explanation/episodes.md, "Devices".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

from proof.model.digest import Key, Sums, raw_hash
from proof.model.episodes import Episode, Ledger, of_device, of_run, of_silence
from proof.model.feedback import Feedback, Heard, hours_of
from proof.model.health import Health
from proof.model.maintenance import Maintenance
from proof.model.ordering import LATE_MAX_MS, Pace, SeriesOrder
from proof.model.policy import Policy
from proof.model.records import NEVER_MS, Event, FeedbackGiven, Settings
from proof.model.rules import Rules
from proof.model.seasonal import Seasonal
from proof.model.verdicts import Verdict
from proof.model.watch import Watch
from proof.model.zones import local_offset_ms

CHECK_EVERY_MS = 300_000
WRONG_CLOCK_EVENTS = 3
HEARS = {
    "false_alarm": ("seasonal", "health"),
    "confirmed": ("seasonal",),
    "expected": ("seasonal",),
    "new_normal": ("seasonal", "health"),
    "withdrawn": ("seasonal", "health"),
}
"""Which detectors each kind of feedback can act on."""
UNSAID = Feedback()
"""Of a series of which nobody has said anything."""


@dataclass(slots=True)
class Series:
    """A series and what each detector knows of it."""

    key: Key
    order: SeriesOrder = field(default_factory=SeriesOrder)
    pace: Pace = field(default_factory=Pace)
    missing_ms: int | None = None
    judged_ms: dict[str, int] = field(default_factory=dict)
    detectors: dict[str, Seasonal | Health] = field(
        default_factory=lambda: {"seasonal": Seasonal(), "health": Health()}
    )
    policies: dict[str, Policy] = field(default_factory=lambda: {"seasonal": Policy(), "health": Policy()})


@dataclass(slots=True)
class Clock:
    """Events in a row whose clock was wrong, since the newest good stamp, or their own first."""

    wrong: int = 0
    since_ms: int = NEVER_MS
    told: bool = False


@dataclass(slots=True)
class Taken:
    """What came of one event; statuses in the order of its readings."""

    statuses: list[str] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    episodes: list[Episode] = field(default_factory=list)


class Device:
    """A device as the records so far have left it.

    `raw`: the rows of accepted readings without duplicates. `said`: those of verdicts and ended episodes as
    they hold now, `said_first` as first given, `underived_rows` those
    of wrong clocks and missing dumps, which are never derived again.
    """

    def __init__(self, tenant: str, name: str, rules: Rules) -> None:
        self.tenant, self.name, self.rules = tenant, name, rules
        self.newest_ms = self.active_ms = self.next_check_ms = NEVER_MS
        self.pace, self.clock = Pace(), Clock()
        self.live = self.silent = self.dirty = False
        self.stream = ("", "")
        self.series: dict[tuple[str, str], Series] = {}
        self.feedback: dict[tuple[str, str, str], Feedback] = {}
        self.maintenance = Maintenance()
        self.ledger = Ledger()
        self.raw, self.said, self.said_first = Sums(), Sums(), Sums()
        self.underived_rows = 0
        self.too_late = 0

    @property
    def key(self) -> Key:
        """The device as a whole."""
        return Key(self.tenant, "", self.name, "")

    def take(self, event: Event, *, quarantined: bool) -> Taken:
        """Apply the next record."""
        taken = Taken()
        own = [(self._series(event.application, name), value) for name, value in event.readings]
        if event.clock_wrong:
            self._wrong_clock(event, taken)
            fixed: str | None = "unscored_clock"
        else:
            self._good_clock(event, taken)
            if event.ts > self.newest_ms:
                self._advance(event, taken)
            if quarantined and self._in_time(event):
                self.active_ms = self.newest_ms
            if quarantined or not event.readings:
                self.dirty = self.dirty or (self._in_time(event) and event.ts < self.newest_ms)
            fixed = "unscored_quarantined" if quarantined else None
        for series, value in own:
            taken.statuses.append(fixed or self._order(series, event, value, taken))
            if taken.statuses[-1] != "duplicate":
                self.raw.put(series.key, raw_hash(series.key, event.ts, value))
        if fixed is None:
            self._find_missing(event, taken)
            judged = zip(own, taken.statuses, strict=True)
            self._score(event, [pair for pair, status in judged if status == "scored"], taken)
        return taken

    def tick(self, now_ms: int) -> list[Episode]:
        """The silence that a tick reveals, if it does."""
        if not self.live or self.silent or not self.pace.ready:
            return []
        rules = self.rules.at(self.newest_ms)
        limit_ms = _limit_ms(self.pace, rules)
        if "health" not in rules.detectors or not now_ms - self.newest_ms > limit_ms:
            return []
        started_ms = self.newest_ms + int(limit_ms)
        again_ms = self.maintenance.again_ms(started_ms)
        if now_ms <= again_ms:
            return []
        self.silent = True
        return [self._publish(of_silence(self.key, self.stream, started_ms, None, again_ms))]

    def hear(self, record: FeedbackGiven) -> bool:
        """Take feedback in about some of its series; whether its past has to be derived again."""
        hours = hours_of(
            record.spans, lambda ts: local_offset_ms(self.rules.at(ts).timezone_of(self.name), ts)
        )
        begins_ms = record.spans[0][0] if record.spans else None
        past = False
        for name in record.series:
            series = self.series.get(name[:2])
            if series is None or name[2] not in series.detectors or name[2] not in HEARS[record.kind]:
                continue
            heard = self.feedback.setdefault(name, Feedback())
            past |= heard.hear(record.kind, record.action, self.newest_ms, begins_ms, hours)
        return past

    def tell(self, episode: Episode) -> Episode:
        """Publish what no reading has shown."""
        return self._publish(episode)

    def _series(self, application: str, parameter: str) -> Series:
        if (application, parameter) not in self.series:
            key = Key(self.tenant, application, self.name, parameter)
            self.series[application, parameter] = Series(key)
        return self.series[application, parameter]

    def _publish(self, episode: Episode) -> Episode:
        if episode.end_ms is not None:
            self._say(episode.key, episode.digest())
            self.underived_rows += episode.digest() if episode.underived else 0
        return self.ledger.publish(episode)

    def _say(self, key: Key, row: int) -> None:
        self.said.put(key, row)
        self.said_first.put(key, row)

    def _tell(self, taken: Taken, event: Event, reason: str, started_ms: int, end_ms: int | None) -> None:
        stream = (event.application, event.version)
        taken.episodes.append(self._publish(of_device(self.key, stream, reason, started_ms, end_ms)))

    def _wrong_clock(self, event: Event, taken: Taken) -> None:
        clock = self.clock
        if not clock.wrong:
            clock.since_ms = event.ts if self.newest_ms == NEVER_MS else self.newest_ms
        if self.newest_ms == NEVER_MS:
            self.stream = (event.application, event.version)  # until a stamp is good
        clock.wrong += 1
        checked = "health" in self.rules.at(event.ts).detectors
        if checked and clock.wrong >= WRONG_CLOCK_EVENTS and not clock.told:
            clock.told = True
            self._tell(taken, event, "clock", clock.since_ms, None)

    def _good_clock(self, event: Event, taken: Taken) -> None:
        if self.clock.told:
            end_ms = max(self.clock.since_ms, event.ts)
            self._tell(taken, event, "clock", self.clock.since_ms, end_ms)
        self.clock = Clock()

    def _advance(self, event: Event, taken: Taken) -> None:
        """A newer stamp: a silence may end; the pace learns, from a silence no more than its limit."""
        if self.newest_ms == NEVER_MS:
            self.active_ms = event.ts
        else:
            rules = self.rules.at(self.newest_ms)
            gap_ms, limit_ms = float(event.ts - self.newest_ms), _limit_ms(self.pace, rules)
            if self.pace.ready and gap_ms > limit_ms:
                self.active_ms = event.ts
                if "health" in rules.detectors:
                    self._end_silence(event, self.newest_ms + int(limit_ms), taken)
            elif self.silent:
                self._withdraw_silence(event, taken)
            if self.maintenance.learns(event.ts) and self.maintenance.learns(self.newest_ms):
                self.pace.learn(min(gap_ms, limit_ms) if self.pace.ready else gap_ms)
        self.newest_ms = event.ts
        self.silent, self.live = False, event.live
        self.stream = (event.application, event.version)

    def _end_silence(self, event: Event, started_ms: int, taken: Taken) -> None:
        again_ms = self.maintenance.again_ms(started_ms)
        stream = (event.application, event.version)
        episode = of_silence(self.key, stream, started_ms, event.ts, again_ms)
        taken.episodes.append(self._publish(episode))

    def _withdraw_silence(self, event: Event, taken: Taken) -> None:
        """A tick revealed a silence, but the stamps show no gap: the device had kept its records."""
        taken.episodes.append(self.ledger.withdraw(self.key, "silent", event.version))

    def _in_time(self, event: Event) -> bool:
        """Whether an event of which no reading is judged counts for the device."""
        return self.newest_ms - event.ts <= LATE_MAX_MS

    def _order(self, series: Series, event: Event, value: float, taken: Taken) -> str:
        status = series.order.status(event.ts, value)
        if status == "late":
            self.too_late += series.order.too_late(event.ts)
            self.dirty = self.dirty or not series.order.too_late(event.ts)
        if status == "scored":
            self.dirty = self.dirty or event.ts < self.newest_ms
            learns = self.maintenance.learns(event.ts) and self.maintenance.learns(series.order.last_ms)
            series.order.advance(event.ts, value, series.pace, learns=learns)
            if series.missing_ms is not None and event.ts > series.missing_ms:
                self._missing(series, event, series.missing_ms, event.ts, taken)
            elif series.missing_ms is not None:  # its own order has no such gap
                taken.episodes.append(self.ledger.withdraw(series.key, "missing", event.version))
            series.missing_ms = None
        return status

    def _find_missing(self, event: Event, taken: Taken) -> None:
        """Every five minutes: parameters that have not come for too long, the newest series first."""
        rules = self.rules.at(event.ts)
        due = event.ts == self.newest_ms and event.ts >= self.next_check_ms
        if not due or "health" not in rules.detectors or self.maintenance.silences(event.ts):
            return
        self.next_check_ms = event.ts + CHECK_EVERY_MS
        for series in reversed(self.series.values()):
            limit_ms = _limit_ms(series.pace, rules)
            since_ms = max(series.order.last_ms, self.active_ms)
            if series.missing_ms is None and series.pace.ready and event.ts - since_ms > limit_ms:
                series.missing_ms = since_ms + int(limit_ms)
                self._missing(series, event, series.missing_ms, None, taken)

    def _missing(
        self, series: Series, event: Event, started_ms: int, end_ms: int | None, taken: Taken
    ) -> None:
        stream = (series.key.application, event.version)
        taken.episodes.append(self._publish(of_device(series.key, stream, "missing", started_ms, end_ms)))

    def _score(self, event: Event, own: list[tuple[Series, float]], taken: Taken) -> None:
        """Each detector judges each reading, then learns from it; its policy follows."""
        rules = self.rules.at(event.ts)
        offset_ms = local_offset_ms(rules.timezone_of(self.name), event.ts)
        learns, silenced = self.maintenance.learns(event.ts), self.maintenance.silences(event.ts)
        for detector in ("seasonal", "health"):
            for series, value in own:
                if detector not in rules.detectors:
                    self._stop(event, series, detector, taken)
                    continue
                kind, name = series.detectors[detector], series.key.parameter
                said = self.feedback.get((series.key.application, name, detector), UNSAID)
                heard = Heard(said.factor(event.ts), partial(said.hold_s, event.ts, offset_ms), learns)
                if said.begins_anew(series.judged_ms.get(detector, NEVER_MS), event.ts):
                    kind = series.detectors[detector] = kind.anew(heard.factor)
                series.judged_ms[detector] = event.ts
                score = kind.step(rules, name, event.ts, value, offset_ms, heard)
                verdict = Verdict(series.key, event.offset, event.ts, value, detector, score)
                taken.verdicts.append(verdict)
                self._say(series.key, verdict.row())
                turn = series.policies[detector].take(rules, event.ts, value, score, silenced=silenced)
                if turn is not None:
                    end_ms = event.ts if turn[0] == "closed" else None
                    episode = of_run(series.key, event.version, detector, turn[1], end_ms)
                    taken.episodes.append(self._publish(episode))

    def _stop(self, event: Event, series: Series, detector: str, taken: Taken) -> None:
        """A reading that the detector is not to judge ends its run."""
        series.detectors[detector].watch = Watch()
        run = series.policies[detector].stop()
        if run is not None and run.opened_ms is not None:
            episode = of_run(series.key, event.version, detector, run, event.ts)
            taken.episodes.append(self._publish(episode))


def _limit_ms(pace: Pace, rules: Settings) -> float:
    """How long it may be quiet."""
    return max(rules.silence_intervals * pace.interval_ms, float(rules.silence_min_s * 1000))
