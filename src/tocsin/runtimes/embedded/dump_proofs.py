"""Proof of episodes that came of dumps: the dumps are shown again, and what is found is compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Final

import msgspec

from tocsin import threads
from tocsin.commit.dump_steps import BEFORE_ALL, DumpPlace, DumpStepStore, JudgedDump
from tocsin.control import DumpDetectorFailed, DumpDetectorRule, DumpReceived, decode_control
from tocsin.dump_detectors.digest import canonical
from tocsin.dump_detectors.episodes import Judged, OpenEpisodes, fold
from tocsin.dump_detectors.steps import StepDone, StepFailed, Stepper, Task
from tocsin.lake.abstract import Lake
from tocsin.log.abstract import Log, Record, RecordKind
from tocsin.model import DumpEvidence, Episode, Evidence
from tocsin.processing.episodes import seal
from tocsin.processing.proof import Proof
from tocsin.runtimes.embedded import dump_stops
from tocsin.runtimes.embedded.dump_archives import Archives, facts_of

DUMPS_MAX: Final = 2_000
_PAGE: Final = 200
_FIELDS: Final = (
    "started_ms", "end_ms", "last_abnormal_ms", "peak_ms", "readings", "score", "severity", "explanation",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Claim:
    """An episode with its evidence: what is to be proved."""

    episode: Episode
    evidence: Evidence
    dumps: DumpEvidence

    @property
    def last(self) -> DumpPlace:
        """The last dump that shows it."""
        return self.dumps.last.epoch, self.dumps.last.sequence


@dataclass(frozen=True, slots=True)
class _Again:
    """A dump that was judged, and what was published of it."""

    dump: DumpReceived
    judged: JudgedDump


@dataclass(frozen=True, slots=True)
class _Derived:
    """What one dump gives when it is shown again."""

    changed: tuple[Episode, ...]
    difference: str = ""
    is_failure: bool = False


class DumpProofs:
    """One proof at a time, by a worker of its own.

    Each dump is shown with the configuration that it was judged by; `rules_of`, the tenant's detectors as
    configured now, stand in where an earlier release did not keep that.
    """

    def __init__(
        self,
        steps: DumpStepStore,
        archives: Archives,
        make: Callable[[], Stepper],
        rules_of: Callable[[str], Mapping[str, DumpDetectorRule]],
        log: Log,
        lake: Lake,
    ) -> None:
        self._steps: Final = steps
        self._archives: Final = archives
        self._make: Final = make
        self._rules_of: Final = rules_of
        self._log: Final = log
        self._lake: Final = lake
        self._lock = threads.lock()

    def prove(self, claims: Sequence[Claim]) -> list[Proof]:
        """Whether each episode comes out again, from how many dumps, in the order given; blocks meanwhile.

        A detector knows a device by all its dumps, so they are shown from the first one on: once for all
        claims of one device and detector.
        """
        proofs = [self._at_once(claim) for claim in claims]
        together: dict[tuple[str, str, str], list[int]] = {}
        for index, claim in enumerate(claims):
            if proofs[index] is None:
                episode = claim.episode
                together.setdefault((episode.tenant, episode.device, episode.detector), []).append(index)
        for indices in together.values():
            found = self._together([claims[index] for index in indices])
            for index, proof in zip(indices, found, strict=True):
                proofs[index] = proof
        return [proof for proof in proofs if proof is not None]

    def _at_once(self, claim: Claim) -> Proof | None:
        """What needs no dump; None if the dumps have to be shown."""
        if seal(claim.evidence) != claim.evidence.seal:
            return Proof(False, 0, ("the evidence was altered: it does not match its seal",))
        if claim.episode.detector == dump_stops.DETECTOR:
            return self._decision(claim)
        return None

    def _together(self, claims: Sequence[Claim]) -> list[Proof]:
        """The proofs of claims of one device and detector."""
        episode = claims[0].episode
        judged = self._judged(episode, max(claim.last for claim in claims))
        again = self._received(episode, judged)
        needed = [_needed(claim, judged, again) for claim in claims]
        with self._lock:
            derived = self._shown(
                episode, again[: max((count for count in needed if count <= DUMPS_MAX), default=0)]
            )
        return [_proof(claim, derived[:count], count) for claim, count in zip(claims, needed, strict=True)]

    def _judged(self, episode: Episode, last: DumpPlace) -> list[JudgedDump]:
        """All judged dumps up to the last and the one after it; no more than can be too many."""
        judged: list[JudgedDump] = []
        after = BEFORE_ALL
        key = (episode.tenant, episode.device, episode.detector)
        while len(judged) <= DUMPS_MAX and (not judged or judged[-1].place <= last):
            page = self._steps.judged(*key, after, limit=_PAGE)
            if not page:
                break
            judged += page
            after = page[-1].place
        return judged[: len(list(takewhile(lambda each: each.place <= last, judged))) + 1]

    def _received(self, episode: Episode, judged: list[JudgedDump]) -> list[_Again]:
        known: dict[DumpPlace, DumpReceived] = {}
        after = BEFORE_ALL
        while judged and after < judged[-1].place:
            page = self._steps.dealt(episode.tenant, episode.device, after, limit=_PAGE)
            if not page:
                break
            known |= {(dump.epoch, dump.sequence): dump for dump in page}
            after = page[-1].epoch, page[-1].sequence
        return [_Again(known[each.place], each) for each in judged if each.place in known]

    def _shown(self, episode: Episode, again: Sequence[_Again]) -> list[_Derived]:
        """What the dumps give one after another, up to the first that fails."""
        rule = self._rules_of(episode.tenant).get(episode.detector, DumpDetectorRule())
        state: bytes | None = None
        version = ""
        going_on = OpenEpisodes()
        derived: list[_Derived] = []
        with self._make() as stepper:
            for each in again:
                result = _tried(stepper, self._task(episode, each, rule, state, version))
                if isinstance(result, StepFailed):
                    return [*derived, _Derived((), _cannot(each.dump, result), is_failure=True)]
                state, version = result.state, result.state_version
                same = tuple(canonical(finding) for finding in result.findings) == each.judged.findings
                judged = Judged(
                    dump=each.dump,
                    detector=episode.detector,
                    version=version,
                    partition=0,
                    findings=result.findings,
                )
                folded = fold(going_on, judged)
                going_on = folded.open
                difference = "" if same else _other_findings(each.judged, version)
                derived.append(_Derived(tuple(folded.changed), difference))
        return derived

    def _task(
        self, episode: Episode, again: _Again, rule: DumpDetectorRule, state: bytes | None, version: str
    ) -> Task:
        dump, kept = again.dump, again.judged.config
        return Task(
            tenant=episode.tenant,
            device=episode.device,
            detector=episode.detector,
            archive=self._archives.path(dump),
            dump=facts_of(dump),
            config=rule.config if kept is None else msgspec.json.decode(kept, type=dict[str, Any]),
            state=state,
            state_version=version,
            dictionary=self._archives.dictionary(dump),
        )

    def _decision(self, claim: Claim) -> Proof:
        """A stop is no finding: the log has the decision."""
        episode, dumps = claim.episode, claim.dumps
        record = self._record(claim.evidence.partition, claim.evidence.before_offset - 1)
        control = None
        if record is not None and record.kind is RecordKind.CONTROL:
            control = decode_control(record.payload)
        stopped_at = (episode.tenant, episode.device, dumps.first.epoch, dumps.first.sequence)
        if isinstance(control, DumpDetectorFailed):
            said = (control.tenant, control.device, control.epoch, control.sequence)
            if said == stopped_at and control.version == dumps.version:
                return Proof(True, 1, ())
        return Proof(False, 0, ("the log has no such decision",))

    def _record(self, partition: int, offset: int) -> Record | None:
        """The record at an offset, from the log or, where that has been trimmed, from the lake."""
        if offset < self._log.begin(partition):
            records = self._lake.records(partition, offset, offset + 1)
        else:
            records = self._log.read(partition, offset)
        return next((record for record in records if record.offset == offset), None)


def _tried(stepper: Stepper, task: Task) -> StepDone | StepFailed:
    """A step; what may go away is tried once more, since all claims behind it would fail with it."""
    result = stepper.run(task).result()
    if isinstance(result, StepFailed) and result.may_go_away:
        result = stepper.run(task).result()
    return result


def _needed(claim: Claim, judged: Sequence[JudgedDump], again: Sequence[_Again]) -> int:
    """How many dumps to show: up to the last that shows it, and the one after it, which ended it."""
    until = sum(each.place <= claim.last for each in judged) + (claim.episode.end_ms is not None)
    places = {each.place for each in judged[:until]}
    return sum(each.judged.place in places for each in again)


def _proof(claim: Claim, derived: Sequence[_Derived], needed: int) -> Proof:
    if needed > DUMPS_MAX:
        return Proof(False, 0, (f"more than {DUMPS_MAX} dumps would have to be shown again",))
    if derived and derived[-1].is_failure:
        return Proof(False, len(derived) - 1, (derived[-1].difference,))
    differences = [each.difference for each in derived if each.difference]
    changed = [episode for each in derived for episode in each.changed]
    differences += _compared(claim.episode, claim.dumps, changed)
    return Proof(not differences, len(derived), tuple(differences))


def _cannot(dump: DumpReceived, failed: StepFailed) -> str:
    return f"it can't be derived again: dump {dump.sequence}: {failed.kind.value}: {failed.detail}"


def _other_findings(judged: JudgedDump, version: str) -> str:
    if judged.version != version:
        return (
            f"dump {judged.sequence} was judged by version {judged.version}; {version}, which is installed, "
            "finds something else"
        )
    return f"dump {judged.sequence}: other findings were derived than were published"


def _compared(episode: Episode, dumps: DumpEvidence, found: list[Episode]) -> list[str]:
    """What differs from the state of the episode that was derived last."""
    own = [
        each
        for each in found
        if (each.parameter, each.reason) == (episode.parameter, episode.reason)
        and each.evidence is not None
        and each.evidence.dumps is not None
        and each.evidence.dumps.first == dumps.first
        and each.evidence.dumps.findings_sha256 == dumps.findings_sha256
    ]
    if not own:
        return ["the dumps give no such episode"]
    derived = own[-1]
    return [
        f"{name}: {getattr(derived, name)} was derived, {getattr(episode, name)} was published"
        for name in _FIELDS
        if getattr(derived, name) != getattr(episode, name)
    ]
