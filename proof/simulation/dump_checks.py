"""What must hold of dumps when the faults are over: kept, ordered, and judged once each in that order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Final

from proof.model import Expected
from proof.model.digest import Key, Sums, combined
from proof.model.dumps import DeviceDumps, Number
from proof.model.streams import Cut
from proof.model.tally import DETECTOR, Judged, Shown, judged
from proof.simulation.archives import COMPONENT
from proof.simulation.lives import Lives
from proof.simulation.plan import TENANT
from proof.simulation.uploaders import Sent, Uploaders
from tocsin.bootstrap import Application
from tocsin.commit.dump_steps import BEFORE_ALL, DumpStepStore, JudgedDump
from tocsin.control import DumpDetectorFailed, DumpReceived, decode_control
from tocsin.log.abstract import Record, RecordKind
from tocsin.model import Episode
from tocsin.runtimes.embedded.dump_asking import RETRIES
from tocsin.runtimes.embedded.dump_stops import DETECTOR as STOPS

OF_STEPS: Final = frozenset({DETECTOR, STOPS})
"""Whose episodes come from steps, not from the log."""
_TRIED: Final = frozenset({"crash", "hang", "memory"})
_PAGE: Final = 100_000


class DumpChecks:
    """Looks at a system that has nothing left to do."""

    def __init__(self, lives: Lives, uploaders: Uploaders) -> None:
        self._findings = lives.findings
        self._workshop = lives.workshop
        self._uploaders = uploaders
        self.judged = 0

    def check(
        self, application: Application, records: Sequence[Record], expected: Expected, cut: Mapping[str, Cut]
    ) -> None:
        """Whether every law holds; `expected` is what the model makes of these records.

        `cut` are the dumps that were cut of lines, by device and number.
        """
        decisions = [decode_control(each.payload) for each in records if each.kind is RecordKind.CONTROL]
        received = [each for each in decisions if isinstance(each, DumpReceived)]
        self._kept(application, received)
        self._one_valid(received)
        self._stops(application, [each for each in decisions if isinstance(each, DumpDetectorFailed)])
        found = {
            device: self._expected(device, dumps, cut)
            for (tenant, device), dumps in expected.dumps.items()
            if tenant == TENANT and dumps.judged
        }
        for device, wanted in found.items():
            self._standing(application, device, wanted)
            self._spans(application, device, wanted)
        self._digest(application, found)

    def _add(self, kind: str, detail: str) -> None:
        self._findings.add(kind, detail)

    def _kept(self, application: Application, received: Sequence[DumpReceived]) -> None:
        """What a sender was told of is in the log with that outcome, and whole in the blob store."""
        logged = {
            (dump.device, dump.epoch, dump.sequence, dump.sha256, dump.outcome.value) for dump in received
        }
        for sent in self._uploaders.sent:
            parcel = sent.parcel
            if (parcel.plan.device, *parcel.number, parcel.sha256, sent.outcome) not in logged:
                self._add("dump lost", f"{sent.outcome}, not so in the log: {parcel.plan}")
            with application.blobs.open(parcel.sha256) as blob:
                if blob.read(0, blob.size) != parcel.body:
                    self._add("blob differs", f"{parcel.plan}")

    def _one_valid(self, received: Sequence[DumpReceived]) -> None:
        """Each number has one body that is valid, whatever else came; each body one outcome."""
        outcomes: dict[tuple[str, int, int], dict[str, set[str]]] = {}
        for dump in received:
            bodies = outcomes.setdefault((dump.device, dump.epoch, dump.sequence), {})
            bodies.setdefault(dump.sha256, set()).add(dump.outcome.value)
        for place, bodies in outcomes.items():
            valid = [sha256 for sha256, said in bodies.items() if said != {"conflict"}]
            if len(valid) != 1 or any(len(said) > 1 for said in bodies.values()):
                self._add("not one valid body", f"{place}: {bodies}")

    def _stops(self, application: Application, failed: Sequence[DumpDetectorFailed]) -> None:
        """A device is stopped after all tries of one of its own dumps, each time is told, and is over."""
        left = {number: Counter(kinds) for number, kinds in self._workshop.failed.items()}
        for each in failed:
            if not tries_of(each, left):
                self._add("stopped too soon", f"{each} after {self._workshop.failed}")
        told = Counter(each.device for each in _episodes(application) if each.detector == STOPS)
        if told - Counter(each.device for each in failed):
            self._add("stop without a decision", f"{told}: {failed}")
        if lasting := [each for each in _episodes(application) if each.detector == STOPS and not each.end_ms]:
            self._add("stop not over", f"{lasting[0].explanation}")

    def _expected(self, device: str, dumps: DeviceDumps, cut: Mapping[str, Cut]) -> Judged:
        by_body = {sent.parcel.sha256: sent for sent in self._uploaders.sent}
        shown = []
        for number in sorted(dumps.judged):
            sha256 = dumps.came[number].sha256
            streamed = cut.get(f"{device} {number[1]}")
            shown.append(_cut(number, streamed) if streamed else _shown(number, by_body[sha256]))
        self.judged += len(shown)
        return judged(TENANT, device, shown)

    def _standing(self, application: Application, device: str, wanted: Judged) -> None:
        """State, sum and findings are those of all dumps in order, and nothing waits."""
        steps = _steps(application)
        standing = steps.standings(TENANT, device).get(DETECTOR)
        if standing is None or standing.failure is not None:
            self._add("not judged", f"{device}: {standing}")
            return
        if standing.state != wanted.state or int(standing.digest, 16) != wanted.digest:
            self._add("state differs", f"{device}: {standing.state!r}, expected {wanted.state!r}")
        found = {
            each.place: list(each.findings)
            for each in steps.judged(TENANT, device, DETECTOR, BEFORE_ALL, limit=_PAGE)
        }
        if found != wanted.findings:
            self._add("findings differ", f"{device}: {found}, expected {wanted.findings}")
        for place in found:
            self._revisions(steps, device, place)

    def _revisions(self, steps: DumpStepStore, device: str, place: Number) -> None:
        """A dump is judged once, and again only with another result, or by another version."""
        revisions = steps.revisions(TENANT, device, DETECTOR, place)
        again = pairwise(revisions)
        numbered = [each.revision for each in revisions] == list(range(len(revisions)))
        if not numbered or any(_result(one) == _result(other) for one, other in again):
            self._add("judged twice", f"{device}: {revisions}")

    def _spans(self, application: Application, device: str, wanted: Judged) -> None:
        """The episodes are those of the findings, and each can be derived again."""
        episodes = [
            each
            for each in _episodes(application)
            if each.device == device and each.detector == DETECTOR and not each.retracted
        ]
        found = [(e.started_ms, e.last_abnormal_ms, e.end_ms, e.readings) for e in episodes]
        expected = [(s.started_ms, s.last_ms, s.end_ms, s.findings) for s in wanted.spans]
        if sorted(map(str, found)) != sorted(map(str, expected)):
            self._add("faults differ", f"{device}: {found}, expected {expected}")
        for episode, proof in application.runtime.views.explain_all(TENANT, [each.id for each in episodes]):
            if not proof.matches:
                self._add("episode not derived again", f"{proof.differences} {episode}")

    def _digest(self, application: Application, found: dict[str, Judged]) -> None:
        """The digest of dumps is that of the model."""
        sums = Sums()
        for device, wanted in found.items():
            sums.put(Key(TENANT, "", device, DETECTOR), wanted.digest)
        digest = application.runtime.views.digest(TENANT)
        if digest.digest_dumps != combined(sums):
            self._add("dumps differ", f"{digest.digest_dumps}, {combined(sums)} expected")


def _result(judged: JudgedDump) -> tuple[object, ...]:
    return judged.findings, judged.version, judged.config


def tries_of(stop: DumpDetectorFailed, left: dict[tuple[str, int, int], Counter[str]]) -> bool:
    """Take a stop's failures out of what is `left` of them; whether one dump has all that it needs.

    That is its own dump, or an earlier one that was shown again: another version may have to build its state.
    """
    kinds = _TRIED if stop.kind in _TRIED else {stop.kind}
    own = (stop.device, stop.epoch, stop.sequence)
    shown = (number for number in left if number[0] == stop.device and number <= own)
    for number in sorted(shown, reverse=True):
        failures = [kind for kind in left[number].elements() if kind in kinds]
        needed = RETRIES + 1 if stop.kind in _TRIED else 1
        if len(failures) >= needed:
            left[number] -= Counter(failures[:needed])
            return True
    return False


def _shown(number: Number, sent: Sent) -> Shown:
    parcel = sent.parcel
    return Shown(number, ((COMPONENT, parcel.plan.lines),), parcel.from_ms, parcel.to_ms)


def _cut(number: Number, cut: Cut) -> Shown:
    files = tuple((name, tuple(text[:-1].split("\n"))) for name, text in sorted(cut.files.items()))
    return Shown(number, files, cut.from_ms, cut.to_ms)


def _steps(application: Application) -> DumpStepStore:
    steps = application.stores.steps
    if steps is None:
        raise RuntimeError("the embedded stores have none for dump steps")
    return steps


def _episodes(application: Application) -> list[Episode]:
    return application.stores.commits.episodes(TENANT, limit=_PAGE)
