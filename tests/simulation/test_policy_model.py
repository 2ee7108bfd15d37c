"""The policy engine, verdict by verdict: what opens, worsens and closes is what the plain model says.

Verdicts are drawn, not scored, so that runs hover about every limit of the hysteresis; settings change on
the way, verdicts come in batches of any size, and detectors are switched off in the middle of runs.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import msgspec
import numpy as np
import numpy.typing as npt
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from proof.model import policy as plain
from proof.model.policy import SEVERITIES
from proof.model.records import Settings as PlainSettings
from proof.model.verdicts import ABNORMAL, NORMAL, NOT_READY, Score
from tests.kit import START_MS, events_of
from tocsin.control import Policy, Settings
from tocsin.detectors.abstract import Readings, Scores
from tocsin.processing import policies
from tocsin.processing.ordering import Gathered
from tocsin.processing.resolving import resolve
from tocsin.processing.rows import IDLE, OPEN
from tocsin.processing.state import TenantState

SERIES = 3
SCORES = (1.1, 1.499, 1.5, 2.0, 2.999, 3.0, 9.0)
STEPS_S = (1, 59, 60, 61, 300)
KINDS = ("opened", "worsened", "closed")
Turn = tuple[str, int, int, int, int, int, float, float, str]
"""kind, series, when, start, last abnormal stamp, abnormal readings; the peak's value and score; severity."""

rules = st.builds(
    Policy,
    open_after_s=st.sampled_from([0, 1, 60, 300]),
    open_readings=st.integers(1, 4),
    close_after_s=st.sampled_from([0, 1, 60, 300]),
    close_readings=st.integers(1, 4),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One drawn verdict, waiting to be folded in."""

    series: int
    ts: int
    value: float
    score: Score
    version: int


class PolicyModel(RuleBasedStateMachine):
    """The real step with one detector; a plain policy per series beside it."""

    @initialize(first=rules)
    def begin(self, first: Policy) -> None:
        self.state = TenantState("t")
        rows = [(f"pump-{number}", START_MS, {"a": 0.0}) for number in range(SERIES)]
        resolve(events_of(rows), self.state)
        self.slot = self.state.slots["seasonal"]
        self.settings: list[PlainSettings] = []
        self.change(first)
        self.plain = [plain.Policy() for _ in range(SERIES)]
        self.now_ms = [START_MS] * SERIES
        self.waiting: list[Verdict] = []

    @rule(wanted=rules)
    def change(self, wanted: Policy) -> None:
        """Settings that act on what comes from here on."""
        if len(self.settings) == 15:
            return
        number = self.state.timeline.change(Settings(policy=wanted), 0, len(self.settings), [])
        self.state.settings_changed()
        self.settings.append(PlainSettings(**msgspec.structs.asdict(wanted)))
        assert number == len(self.settings)

    @rule(
        series=st.integers(0, SERIES - 1),
        verdict=st.sampled_from([ABNORMAL, ABNORMAL, NORMAL, NORMAL, NOT_READY]),
        count=st.integers(1, 5),
        step_s=st.sampled_from(STEPS_S),
        score=st.sampled_from(SCORES),
    )
    def judge(self, series: int, verdict: int, count: int, step_s: int, score: float) -> None:
        """A few verdicts of one kind."""
        strange = {ABNORMAL: score, NORMAL: 0.5, NOT_READY: math.nan}[verdict]
        for _ in range(count):
            self.now_ms[series] += step_s * 1000
            value = float(len(self.waiting))
            said = Score(strange, 20.0, 10.0, 30.0, verdict, "above")
            self.waiting.append(Verdict(series, self.now_ms[series], value, said, len(self.settings)))

    @rule(room=st.sampled_from([1, 2, 256]))
    def fold(self, room: int) -> None:
        """What waits becomes a batch, of however many verdicts, with room for so many turns at a time."""
        batch, self.waiting = self.waiting, []
        gathered, scores = columns(batch)
        with patch.object(policies, "_ROOM", room):
            turns = policies.fold(gathered, scores, self.slot, self.state)
        self.slot.settle()
        found = [self.turn_of(row) for row in turns]
        assert found == [turn for verdict in batch for turn in self.expect(verdict)]

    def expect(self, verdict: Verdict) -> list[Turn]:
        own = self.plain[verdict.series]
        taken = own.take(self.settings[verdict.version - 1], verdict.ts, verdict.value, verdict.score)
        if taken is None:
            return []
        kind, run = taken
        return [(kind, verdict.series, verdict.ts, *told(run))]

    @rule(series=st.integers(0, SERIES - 1))
    def switch_off(self, series: int) -> None:
        """The detector is not to judge the next reading of a series: its run ends there."""
        self.fold(room=256)
        self.now_ms[series] += 1000
        gathered, _ = columns([Verdict(series, self.now_ms[series], 0.0, Score(), len(self.settings))])
        found = [self.turn_of(row) for row in policies.stop(gathered, self.slot, self.state)]
        run = self.plain[series].stop()
        was_open = run is not None and run.opened_ms is not None
        assert found == ([("closed", series, self.now_ms[series], *told(run))] if run and was_open else [])

    def turn_of(self, row: np.void) -> Turn:
        run = row["run"]
        return (
            KINDS[int(row["kind"])],
            int(row["series"]),
            int(row["at_ms"]),
            int(run["started_ms"]),
            int(run["last_abnormal_ms"]),
            int(run["readings"]),
            float(run["value"]),
            float(run["score"]),
            SEVERITIES[int(run["severity"])],
        )

    @invariant()
    def runs_agree(self) -> None:
        """What is going on is the same on both sides, and marked in the rows of the series."""
        if self.waiting:
            return
        for series, own in enumerate(self.plain):
            row = self.slot.policy.rows[series]
            marked = bool(self.state.series.rows["running"][series] & self.slot.bit)
            assert marked == (row["phase"] != IDLE) == (own.run is not None)
            if own.run is not None:
                assert (row["phase"] == OPEN) == (own.run.opened_ms is not None)
                assert (int(row["calm"]), int(row["readings"])) == (own.run.calm, own.run.readings)


def told(run: plain.Run) -> tuple[int, int, int, float, float, str]:
    return (
        run.started_ms,
        run.last_abnormal_ms,
        run.readings,
        run.peak.value,
        run.peak.score.score,
        run.severity,
    )


def columns(batch: list[Verdict]) -> tuple[Gathered, Scores]:
    """Verdicts as the step takes them."""
    fields = defaultdict(list)
    for verdict in batch:
        for name in ("series", "ts", "value", "version"):
            fields[name].append(getattr(verdict, name))
        for name in ("score", "expected", "lower", "upper", "verdict"):
            fields[f"score.{name}"].append(getattr(verdict.score, name))

    def numbers(name: str) -> npt.NDArray[Any]:
        return np.array(fields[name], np.float64)

    def codes(name: str) -> npt.NDArray[Any]:
        return np.array(fields[name], np.int32)

    nothing, rows = np.zeros(len(batch), np.int32), np.arange(len(batch), dtype=np.int32)
    readings = Readings(codes("series"), np.array(fields["ts"], np.int64), numbers("value"), nothing, nothing)
    scores = Scores(
        numbers("score.score"),
        numbers("score.expected"),
        numbers("score.lower"),
        numbers("score.upper"),
        codes("score.verdict").astype(np.uint8),
        np.zeros(len(batch), np.uint8),
    )
    return Gathered(readings, rows, rows, codes("version")), scores


TestPolicyModel = PolicyModel.TestCase
TestPolicyModel.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
