"""What feedback would have changed: a device's past judged twice, as it would be now and with feedback."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from tocsin.control import FeedbackGiven, FeedbackKind, SeriesName
from tocsin.detectors.abstract import Rows
from tocsin.model import Episode
from tocsin.processing.batching import Events
from tocsin.processing.corrections import Scratch, episodes_of, scratch_of
from tocsin.processing.feedback import as_if, bits_of, concerns_past, steps_after, with_feedback
from tocsin.processing.hours import hours_of
from tocsin.processing.state import TenantState


@dataclass(frozen=True, slots=True)
class Trial:
    """Two states from which a device can be derived, which differ by feedback on some of its series.

    `moves`: whether it changes anything. Both are judged from `from_ms` on by the limits of now, unless what
    was said acts on the past: then it is what a correction would find, without it and with it.
    """

    series: frozenset[SeriesName]
    from_ms: int
    to_ms: int
    moves: bool
    usual: Scratch
    changed: Scratch


@dataclass(frozen=True, slots=True)
class Difference:
    """Episodes of the series that last beyond `from_ms`, as they would be without feedback and with it."""

    from_ms: int
    to_ms: int
    without: tuple[Episode, ...]
    given: tuple[Episode, ...]

    @property
    def vanishing(self) -> tuple[Episode, ...]:
        """Those that no episode with the feedback overlaps."""
        return tuple(each for each in self.without if not any(_overlap(each, other) for other in self.given))

    @property
    def changing(self) -> tuple[Episode, ...]:
        """Those with the feedback that are another one without it: longer, shorter, or stranger."""
        return tuple(
            each
            for each in self.given
            if any(_overlap(each, other) for other in self.without)
            and not any(_facts(each) == _facts(other) for other in self.without)
        )

    @property
    def appearing(self) -> tuple[Episode, ...]:
        """Those that only the feedback brings."""
        return tuple(each for each in self.given if not any(_overlap(each, other) for other in self.without))


def trial(state: TenantState, said: FeedbackGiven, span_ms: int) -> Trial | None:
    """A trial of feedback over the last part of a device's past; None for a device nobody knows."""
    usual, changed = scratch_of(state, said.device), scratch_of(state, said.device)
    if usual is None or changed is None:
        return None
    newest_ms = int(state.devices.rows["newest_ms"][usual.device])
    from_ms, moves = newest_ms - span_ms, False
    hours = bits_of(hours_of(said.spans, state.timeline, usual.device))
    for name in said.series:
        number = state.series_number(usual.device, name.application, name.parameter)
        slot = state.slots.get(name.detector)
        if number is None or slot is None or not slot.detector.hears(said.kind):
            continue
        rows = slot.feedback.unmet(number)
        if concerns_past(rows, said.kind):
            pair = rows, with_feedback(rows, said, newest_ms, hours)
        else:
            pair = _from_then_on(rows, said.kind, from_ms)
        moves |= pair[0].tobytes() != pair[1].tobytes()
        for scratch, wanted in zip((usual, changed), pair, strict=True):
            own = scratch.state.slots[name.detector]
            own.await_feedback(name.application, name.parameter, wanted)
    return Trial(frozenset(said.series), from_ms, newest_ms, moves, usual, changed)


def _from_then_on(rows: Rows, kind: FeedbackKind, from_ms: int) -> tuple[Rows, Rows]:
    """Rows as if what is said now had been said at a stamp, without this kind and with it."""
    steps = int(rows["steps"][-1]) if len(rows) else 0
    after = steps_after(steps, kind)
    usual = as_if(rows, from_ms, steps, FeedbackKind.FALSE_ALARM)
    if kind is not FeedbackKind.NEW_NORMAL and after == steps:
        return usual, usual
    return usual, as_if(rows, from_ms, after, kind)


def run(trial: Trial, events: Events) -> Difference:
    """Judge all of a device's events, given in the order of the log, in both ways.

    Costs two passes; one where the feedback moves nothing, so that both are the same.
    """
    without = _own(episodes_of(events, trial.usual), trial)
    given = _own(episodes_of(events, trial.changed), trial) if trial.moves else without
    return Difference(trial.from_ms, trial.to_ms, without, given)


def _own(episodes: Sequence[Episode], trial: Trial) -> tuple[Episode, ...]:
    """The last state of each episode of the series that reaches into the span, by its start."""
    last = {episode.id: episode for episode in episodes}
    own = (each for each in last.values() if _name(each) in trial.series and _end_ms(each) >= trial.from_ms)
    return tuple(sorted(own, key=lambda each: (each.started_ms, each.id)))


def _name(episode: Episode) -> SeriesName:
    return SeriesName(application=episode.application, parameter=episode.parameter, detector=episode.detector)


def _facts(episode: Episode) -> Episode:
    return msgspec.structs.replace(episode, evidence=None)


def _end_ms(episode: Episode) -> float:
    return np.inf if episode.end_ms is None else episode.end_ms


def _overlap(one: Episode, other: Episode) -> bool:
    return (
        _name(one) == _name(other) and one.started_ms <= _end_ms(other) and other.started_ms <= _end_ms(one)
    )
