"""Logs for the comparison with the model: drawn from small steps, so that a failing one shrinks to few."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import strategies as st

from proof.model.records import Event
from tests.kit import record_of
from tocsin.control import (
    Control,
    Correct,
    FeedbackGiven,
    FeedbackKind,
    MaintenanceSet,
    Policy,
    Quarantine,
    Range,
    SeriesName,
    Settings,
    SettingsChanged,
    Tick,
)
from tocsin.events import EventBatch, Strings, empty_text
from tocsin.log.abstract import Record

TENANT = "t"
WHO = (("t", "pump-0"), ("t", "pump-1"), ("u", "pump-0"))
Who = tuple[str, str]
"""(tenant, device)."""
STREAMS = (("pumps", "1"), ("pumps", "2"), ("fans", "1"))
STARTS_MS = (
    1_700_000_000_000,
    1_698_537_600_000,  # the day on which Berlin sets its clocks back
    1_711_843_200_000,  # and forward
)
STEPS_MS = (60_000, 60_000, 1_000, 300_000, 3_600_000)
PATTERNS = (0, 0, 0, 1, 2, 3, 4)
EARLIER_MS = (0, 0, 500, 45_000, 10_000_000, 31 * 86_400_000)
LONG_MS = (600_000, 1_200_000, 7_200_000, 90_000_000, 31 * 86_400_000)

_QUICK = {
    "seasonal": {"ready_readings": 10.0, "limit": 4.0, "warm_visits": 1.0, "hold_s": 3600.0},
    "health": {"ready_s": 600.0, "changes": 3.0, "stuck_readings": 4.0, "stuck_s": 60.0, "shift_days": 2.0},
}
_AT_ONCE = Policy(open_after_s=0, open_readings=1, close_after_s=60, close_readings=1)
_RANGES = {"a": Range(lower=-50.0, upper=50.0), "b": Range(upper=120.0)}
CHOICES = (
    Settings(),
    Settings(detectors=_QUICK, policy=_AT_ONCE, silence_min_s=60, silence_intervals=3.0),
    Settings(detectors=_QUICK, parameters=_RANGES, timezone="Europe/Berlin", silence_min_s=120),
    Settings(detectors={"health": {}}, policy=_AT_ONCE, timezones={"pump-1": "Australia/Lord_Howe"}),
    Settings(detectors={"seasonal": {"ready_readings": 5.0}}, policy=Policy(open_readings=2)),
    Settings(detectors=_QUICK, silence_intervals=5.0, silence_min_s=3600, timezone="America/St_Johns"),
)


@dataclass(slots=True)
class Writer:
    """Turns steps into the contents of a log; each device has a clock of its own."""

    start_ms: int
    room: int
    records: list[Record] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    waiting: list[Event] = field(default_factory=list)
    now_ms: dict[Who, int] = field(default_factory=dict)

    def send(self, event: Event) -> None:
        """Write an event, in records of at most `room`."""
        self.events.append(event)
        if self.waiting and self.waiting[0].tenant != event.tenant:
            self.flush()
        self.waiting.append(event)
        if len(self.waiting) >= self.room:
            self.flush()

    def decide(self, tenant: str, control: Control) -> None:
        """Write a control record."""
        self.flush()
        self._write(control, tenant)

    def flush(self) -> None:
        """End the record of events that is being filled."""
        if self.waiting:
            self._write(batch_of(self.waiting), self.waiting[0].tenant)
            self.waiting.clear()

    def time_of(self, who: Who) -> int:
        """The device's clock."""
        return self.now_ms.get(who, self.start_ms)

    def _write(self, content: EventBatch | Control, tenant: str) -> None:
        offset = self.records[-1].next_offset if self.records else 0
        self.records.append(record_of(content, offset, tenant=tenant))


Step = Callable[[Writer], None]


def _event(who: Who, stream: int, ts: int, values: dict[str, float]) -> Event:
    application, version = STREAMS[stream]
    readings = tuple(values.items())
    return Event(0, 0, *who, application, version, ts, live=True, clock_wrong=False, readings=readings)


def _value(pattern: int, number: int, parameter: str) -> float:
    """Noise with a period, in one of a few shapes."""
    noise = (number * 7919 + ord(parameter) * 31) % 97 / 97.0
    return (20.0 + noise, 20.0 + 40.0 * (number % 9 > 5) + noise, 7.0, 100.0 + 30.0 * noise, -1e150 * noise)[
        pattern
    ]


def _run(who: Who, stream: int, count: int, step_ms: int, pattern: int, names: tuple[str, ...]) -> Step:
    """A stretch of regular events."""

    def write(writer: Writer) -> None:
        for number in range(count):
            ts = writer.time_of(who)
            values = {name: _value(pattern, len(writer.events), name) for name in names}
            live = (number + pattern) % 5 != 0
            writer.send(replace(_event(who, stream, ts, values), live=live, texts=number % 2))
            writer.now_ms[who] = ts + step_ms

    return write


def _again(back: int, earlier_ms: int, other: float, count: int) -> Step:
    """The last events once more: as they were, with other values, or with earlier stamps."""

    def write(writer: Writer) -> None:
        known = writer.events[-back:][:count]
        for event in known:
            readings = tuple((name, value + other) for name, value in event.readings)
            writer.send(replace(event, ts=event.ts - earlier_ms, readings=readings))

    return write


def _wrong(who: Who, count: int, ahead_ms: int, stream: int) -> Step:
    """Events whose clock is ahead."""

    def write(writer: Writer) -> None:
        for number in range(count):
            ts = writer.time_of(who) + ahead_ms + number
            writer.send(replace(_event(who, stream, ts, {"a": 1.0 * number}), clock_wrong=True, live=False))

    return write


def _pause(who: Who, span_ms: int) -> Step:
    def write(writer: Writer) -> None:
        writer.now_ms[who] = writer.time_of(who) + span_ms

    return write


def _tick(who: Who, later_ms: int) -> Step:
    return lambda writer: writer.decide("", Tick(now_ms=writer.time_of(who) + later_ms))


def _change(choice: int, who: Who, later_ms: int) -> Step:
    def write(writer: Writer) -> None:
        effective_ms = writer.time_of(who) + later_ms
        change = SettingsChanged(tenant=who[0], effective_ms=effective_ms, settings=CHOICES[choice])
        writer.decide(who[0], change)

    return write


def _quarantine(who: Who, released: bool) -> Step:
    decision = Quarantine(tenant=who[0], devices=(who[1],), reason="drawn", released=released)
    return lambda writer: writer.decide(who[0], decision)


_OFTEN = (FeedbackKind.FALSE_ALARM, FeedbackKind.FALSE_ALARM, FeedbackKind.WITHDRAWN)


def _say(draw: random.Random) -> Step:
    """Feedback of any kind, about series that may not be there."""
    who, kind = draw.choice((WHO[0], *WHO)), draw.choice((*FeedbackKind, *_OFTEN))
    names = tuple(
        SeriesName(
            application=draw.choice(STREAMS)[0],
            parameter=draw.choice("aaabc"),
            detector=draw.choice(("seasonal", "seasonal", "health", "iforest")),
        )
        for _ in range(draw.randint(1, 3))
    )
    action = draw.randint(1, 40)  # the same one comes twice now and then
    ago_ms, lasts_ms = draw.choice((0, 600_000, 7_200_000, 90_000_000)), draw.choice((0, 3_600_000))

    def write(writer: Writer) -> None:
        first_ms = writer.time_of(who) - ago_ms
        given = FeedbackGiven(
            tenant=who[0],
            device=who[1],
            kind=kind,
            series=names,
            anomaly=f"an_{action}",
            action=action,
            at_ms=0,
            spans=((first_ms, first_ms + lasts_ms),) if ago_ms else (),
        )
        writer.decide(who[0], given)

    return write


def _maintain(draw: random.Random, no_alert: bool, no_learn: bool) -> Step:
    """A window around the device's time, in place of what it was before."""
    who, name, revision = draw.choice((WHO[0], *WHO)), draw.choice(("mw_1", "mw_2")), draw.randint(1, 9)
    ahead_ms = draw.choice((-90_000_000, -600_000, 0, 0, 300_000))
    edges = sorted(draw.choice(LONG_MS) * draw.choice((0, 1, 1)) for _ in range(draw.choice((0, 2, 2, 4))))

    def write(writer: Writer) -> None:
        now_ms = writer.time_of(who)
        pairs = zip(edges[::2], edges[1::2], strict=True)
        window = MaintenanceSet(
            tenant=who[0],
            window=name,
            revision=revision,
            effective_ms=now_ms + ahead_ms,
            devices=(who[1],),
            spans=tuple((now_ms + first - 60_000, now_ms + below) for first, below in pairs),
            no_alert=no_alert,
            no_learn=no_learn,
        )
        writer.decide(who[0], window)

    return write


def _correct(tenant: str, devices: tuple[str, ...]) -> Step:
    return lambda writer: writer.decide(tenant, Correct(tenant=tenant, devices=devices))


def _step(draw: random.Random) -> Step:
    """The next thing that happens."""
    who = draw.choice((WHO[0], *WHO))  # mostly one device, so that much happens to it
    stream = draw.choice((0, 0, 1, 2))
    names = draw.choice((("a",), ("a", "b"), ("a", "b", "c"), ()))
    count, step_ms, pattern = draw.choice((90, 40, 15, 3)), draw.choice(STEPS_MS), draw.choice(PATTERNS)
    earlier_ms, other = draw.choice(EARLIER_MS), draw.choice((0.0, 0.0, 5.0, 60.0))
    later_ms = draw.choice((-86_400_000, 0, 600_000))
    steps: dict[str, Step] = {
        "run": _run(who, stream, count, step_ms, pattern, names),
        "again": _again(draw.randint(1, 120), earlier_ms, other, draw.randint(1, 30)),
        "wrong": _wrong(who, draw.randint(1, 4), draw.choice((400_000, 86_400_000)), stream),
        "pause": _pause(who, draw.choice(LONG_MS)),
        "tick": _tick(who, draw.choice((0, *LONG_MS))),
        "change": _change(draw.randrange(len(CHOICES)), who, later_ms),
        "quarantine": _quarantine(who, draw.choice((False, True))),
        "correct": _correct(who[0], draw.choice((("pump-0",), ("pump-1", "pump-0")))),
    }
    (kind,) = draw.choices(tuple(_KINDS), tuple(_KINDS.values()))
    return steps[kind]


_EFFECTS = ((True, False), (True, True), (False, True))
"""What a window does: nobody is alerted, nothing is learnt."""

_KINDS = {
    "run": 8, "again": 5, "wrong": 1, "pause": 2, "tick": 2, "change": 1, "quarantine": 1, "correct": 3
}  # fmt: skip
"""What may happen, and how often."""


def log_of_seed(
    seed: int, steps: int, *, said: bool = False, windows: bool = False, pauses: bool = False
) -> list[Record]:
    """A log of one partition: stretches of events, redeliveries, clocks, pauses and control records.

    With `said` there is feedback too, with `windows` maintenance; `pauses` has nothing learnt in some of it.
    Without them, the same seed gives the same log as before there was any.
    """
    draw, saying, working = random.Random(seed), random.Random(-seed - 1), random.Random(-seed - 2)
    pausing = random.Random(-seed - 3)
    writer = Writer(draw.choice(STARTS_MS), draw.choice((1, 7, 100)))
    first = draw.choice(CHOICES)
    for tenant in ("t", "u"):
        writer.decide(tenant, SettingsChanged(tenant=tenant, effective_ms=0, settings=first))
    for _ in range(steps):
        _step(draw)(writer)
        if said and saying.random() < 0.5:
            _say(saying)(writer)
        if windows and working.random() < 0.5:
            effects = pausing.choice(_EFFECTS) if pauses else _EFFECTS[0]
            _maintain(working, *effects)(writer)
    writer.flush()
    return writer.records


def logs() -> st.SearchStrategy[list[Record]]:
    """Logs by seed; a failing one shrinks to few steps."""
    flags = {"said": st.booleans(), "windows": st.booleans(), "pauses": st.booleans()}
    return st.builds(log_of_seed, st.integers(0, 2**32), st.integers(1, 40), **flags)


def batch_of(events: list[Event]) -> EventBatch:
    """Events as the columns of one record."""
    names = sorted({name for event in events for name, _ in event.readings})
    streams = sorted({(event.application, event.version) for event in events})
    readings = [reading for event in events for reading in event.readings]
    return EventBatch(
        device=Strings.of([event.device for event in events]),
        ts=np.array([event.ts for event in events], np.int64),
        flags=np.array([event.live + 2 * event.clock_wrong for event in events], np.uint8),
        stream=np.array([streams.index((event.application, event.version)) for event in events], np.int32),
        reading_offsets=np.cumsum([0] + [len(event.readings) for event in events]).astype(np.int32),
        parameter=np.array([names.index(name) for name, _ in readings], np.int32),
        value=np.array([value for _, value in readings], np.float64),
        text=empty_text(len(events)),
        text_count=np.array([event.texts for event in events], np.int32),
        event_id=empty_text(len(events)),
        names=tuple(names),
        streams=tuple(streams),
    )
