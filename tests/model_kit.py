"""Logs for the comparison with the model: drawn from small steps, so that a failing one shrinks to few."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np
from hypothesis import strategies as st

from proof.model.records import Event
from tests.kit import log_of
from tocsin.control import Control, Correct, Policy, Quarantine, Range, Settings, SettingsChanged, Tick
from tocsin.events import EventBatch, Strings, empty_text
from tocsin.log.abstract import Record

TENANT = "t"
DEVICES = ("pump-0", "pump-1", "pump-2")
STREAMS = (("pumps", "1"), ("pumps", "2"), ("fans", "1"))
PARAMETERS = ("a", "b", "c")
STARTS_MS = (
    1_700_000_000_000,
    1_698_537_600_000,  # the day on which Berlin sets its clocks back
    1_711_843_200_000,  # and forward
)
STEPS_MS = (1_000, 60_000, 300_000, 3_600_000)
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
    contents: list[EventBatch | Control] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    waiting: list[Event] = field(default_factory=list)
    now_ms: dict[str, int] = field(default_factory=dict)

    def send(self, event: Event) -> None:
        """Write an event, in records of at most `room`."""
        self.events.append(event)
        self.waiting.append(event)
        if len(self.waiting) >= self.room:
            self.flush()

    def decide(self, control: Control) -> None:
        """Write a control record."""
        self.flush()
        self.contents.append(control)

    def flush(self) -> None:
        """End the record of events that is being filled."""
        if self.waiting:
            self.contents.append(batch_of(self.waiting))
            self.waiting.clear()

    def time_of(self, device: str) -> int:
        """The device's clock."""
        return self.now_ms.get(device, self.start_ms)


Step = Callable[[Writer], None]


def _event(device: str, stream: int, ts: int, values: dict[str, float]) -> Event:
    application, version = STREAMS[stream]
    readings = tuple(values.items())
    return Event(
        0, 0, TENANT, device, application, version, ts, live=True, clock_wrong=False, readings=readings
    )


def _value(pattern: int, number: int, parameter: str) -> float:
    """Noise with a period, in one of a few shapes."""
    noise = (number * 7919 + ord(parameter) * 31) % 97 / 97.0
    return (20.0 + noise, 20.0 + 40.0 * (number % 9 > 5) + noise, 7.0, 100.0 + 30.0 * noise, -1e150 * noise)[
        pattern
    ]


def _run(device: str, stream: int, count: int, step_ms: int, pattern: int, names: frozenset[str]) -> Step:
    """A stretch of regular events."""

    def write(writer: Writer) -> None:
        for number in range(count):
            ts = writer.time_of(device)
            values = {name: _value(pattern, len(writer.events), name) for name in sorted(names)}
            live = (number + pattern) % 5 != 0
            writer.send(replace(_event(device, stream, ts, values), live=live, texts=number % 2))
            writer.now_ms[device] = ts + step_ms

    return write


def _again(back: int, earlier_ms: int, other: float, count: int) -> Step:
    """The last events once more: as they were, with other values, or with earlier stamps."""

    def write(writer: Writer) -> None:
        known = writer.events[-back:][:count]
        for event in known:
            readings = tuple((name, value + other) for name, value in event.readings)
            writer.send(replace(event, ts=event.ts - earlier_ms, readings=readings))

    return write


def _wrong(device: str, count: int, ahead_ms: int, stream: int) -> Step:
    """Events whose clock is ahead."""

    def write(writer: Writer) -> None:
        for number in range(count):
            ts = writer.time_of(device) + ahead_ms + number
            writer.send(
                replace(_event(device, stream, ts, {"a": 1.0 * number}), clock_wrong=True, live=False)
            )

    return write


def _pause(device: str, span_ms: int) -> Step:
    def write(writer: Writer) -> None:
        writer.now_ms[device] = writer.time_of(device) + span_ms

    return write


def _tick(device: str, later_ms: int) -> Step:
    return lambda writer: writer.decide(Tick(now_ms=writer.time_of(device) + later_ms))


def _change(choice: int, device: str, later_ms: int) -> Step:
    def write(writer: Writer) -> None:
        effective_ms = writer.time_of(device) + later_ms
        writer.decide(SettingsChanged(tenant=TENANT, effective_ms=effective_ms, settings=CHOICES[choice]))

    return write


def _quarantine(device: str, released: bool) -> Step:
    decision = Quarantine(tenant=TENANT, devices=(device,), reason="drawn", released=released)
    return lambda writer: writer.decide(decision)


def _correct(devices: tuple[str, ...]) -> Step:
    return lambda writer: writer.decide(Correct(tenant=TENANT, devices=devices))


_DEVICE = st.sampled_from(DEVICES)
_STREAM = st.integers(0, len(STREAMS) - 1)
_NAMES = st.frozensets(st.sampled_from(PARAMETERS))
_RUNS = st.builds(
    _run, _DEVICE, _STREAM, st.integers(1, 60), st.sampled_from(STEPS_MS), st.integers(0, 4), _NAMES
)
_EARLIER = st.sampled_from((0, 0, 500, 45_000, 10_000_000, 31 * 86_400_000))
_AGAIN = st.builds(
    _again, st.integers(1, 80), _EARLIER, st.sampled_from((0.0, 0.0, 5.0, 60.0)), st.integers(1, 30)
)
_STEPS = st.one_of(
    _RUNS,
    _RUNS,
    _RUNS,
    _AGAIN,
    _AGAIN,
    st.builds(_wrong, _DEVICE, st.integers(1, 4), st.sampled_from((400_000, 86_400_000)), _STREAM),
    st.builds(_pause, _DEVICE, st.sampled_from(LONG_MS)),
    st.builds(_tick, _DEVICE, st.sampled_from((0, *LONG_MS))),
    st.builds(_change, st.integers(0, len(CHOICES) - 1), _DEVICE, st.sampled_from((-86_400_000, 0, 600_000))),
    st.builds(_quarantine, _DEVICE, st.booleans()),
    st.builds(_correct, st.lists(_DEVICE, min_size=1, max_size=3, unique=True).map(tuple)),
)


@st.composite
def logs(draw: st.DrawFn) -> list[Record]:
    """A log of one partition: stretches of events, redeliveries, clocks, pauses and control records."""
    writer = Writer(draw(st.sampled_from(STARTS_MS)), draw(st.sampled_from((1, 7, 100))))
    first = draw(st.integers(0, len(CHOICES) - 1))
    writer.decide(SettingsChanged(tenant=TENANT, effective_ms=0, settings=CHOICES[first]))
    for step in draw(st.lists(_STEPS, min_size=1, max_size=25)):
        step(writer)
    writer.flush()
    return log_of(writer.contents, tenant=TENANT)


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
