"""When a run of abnormal verdicts is an episode: docs/explanation/episodes.md, "Policies"."""

from __future__ import annotations

from dataclasses import dataclass, field

from proof.model.records import Settings
from proof.model.verdicts import ABNORMAL, NORMAL, Score

SEVERITIES = ("info", "warning", "critical")


@dataclass(slots=True)
class Peak:
    """The strangest reading of a run."""

    ts: int
    value: float
    score: Score


@dataclass(slots=True)
class Run:
    """A span of abnormal verdicts, candidate or open."""

    started_ms: int
    peak: Peak
    opened_ms: int | None = None
    suppressed: bool = False
    last_abnormal_ms: int = 0
    readings: int = 0
    calm: int = 0
    severity: str = "info"


@dataclass(slots=True)
class Policy:
    """The run of one series and detector, if there is one."""

    run: Run | None = field(default=None)

    def take(
        self, rules: Settings, ts: int, value: float, score: Score, *, silenced: bool = False
    ) -> tuple[str, Run] | None:
        """Follow one verdict; what it changed (opened, worsened, closed), if anything.

        `silenced`: within a maintenance window, where a run that would open is suppressed.
        """
        if score.verdict == ABNORMAL:
            return self._abnormal(rules, ts, value, score, silenced=silenced)
        if score.verdict == NORMAL and self.run is not None:
            return self._normal(rules, ts, self.run)
        return None

    def stop(self) -> Run | None:
        """The run ends without a verdict, if there is one."""
        run, self.run = self.run, None
        return run

    def _abnormal(
        self, rules: Settings, ts: int, value: float, score: Score, *, silenced: bool
    ) -> tuple[str, Run] | None:
        if self.run is None:
            self.run = Run(started_ms=ts, peak=Peak(ts, value, score), severity=severity_of(score.score))
        run, before = self.run, self.run.severity
        run.readings += 1
        run.calm = 0
        run.last_abnormal_ms = ts
        if score.score > run.peak.score.score:
            run.peak = Peak(ts, value, score)
            run.severity = max(before, severity_of(score.score), key=SEVERITIES.index)
        if run.suppressed and not silenced:
            run.opened_ms, run.suppressed = ts, False
            return "opened", run
        if run.opened_ms is not None:
            return ("worsened", run) if run.severity != before else None
        if ts - run.started_ms >= rules.open_after_s * 1000 and run.readings >= rules.open_readings:
            run.opened_ms, run.suppressed = ts, silenced
            return "opened", run
        return None

    def _normal(self, rules: Settings, ts: int, run: Run) -> tuple[str, Run] | None:
        run.calm += 1
        if ts - run.last_abnormal_ms < rules.close_after_s * 1000 or run.calm < rules.close_readings:
            return None
        self.run = None
        return ("closed", run) if run.opened_ms is not None else None


def severity_of(score: float) -> str:
    """How bad a score is."""
    return SEVERITIES[(score >= 1.5) + (score >= 3.0)]
