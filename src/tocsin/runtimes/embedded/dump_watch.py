"""One detector and one device: dumps shown in order, corrections, what stops it and what lets it go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from tocsin.commit.dump_steps import (
    DumpPlace,
    JudgedDump,
    Standing,
    StepCommit,
    StepFailure,
    StepSnapshot,
)
from tocsin.control import DumpDetectorFailed, DumpDetectorRule, DumpReceived
from tocsin.dump_detectors.abstract import Finding
from tocsin.dump_detectors.digest import added, canonical, findings_hash
from tocsin.dump_detectors.episodes import Judged, OpenEpisodes, fold, pack_open, unpack_open
from tocsin.dump_detectors.revising import revise
from tocsin.dump_detectors.steps import FailureKind, StepDone, StepFailed, Task
from tocsin.model import Episode
from tocsin.runtimes.embedded.dump_archives import facts_of
from tocsin.runtimes.embedded.dump_asking import Going, tried
from tocsin.runtimes.embedded.dump_ground import Ground, place_of
from tocsin.runtimes.embedded.dump_rerun import Rerun, run_again
from tocsin.runtimes.embedded.dump_snapshots import Snapshots, place_behind
from tocsin.runtimes.embedded.dump_stops import goes_on, stopped


class DumpWatch:
    """Every method leaves a committed standing behind, so that a restart goes on from there.

    `done` are ready dumps that nobody else needs any more: they are dealt with in the same transaction.
    """

    def __init__(self, ground: Ground, partition: int, standing: Standing, rule: DumpDetectorRule) -> None:
        self._ground: Final = ground
        self._partition: Final = partition
        self._standing = standing
        self._rule: Final = rule
        self._config: Final = msgspec.json.encode(rule.config, order="deterministic")
        key = (standing.tenant, standing.device, standing.detector)
        self._snapshots: Final = Snapshots(ground.steps, key, ground.snapshot_blocks)

    def show(self, dump: DumpReceived, done: Sequence[int]) -> Going[None]:
        """Show a dump in its turn, after all before it that the detector has missed."""
        yield from self._catch_up(place_of(dump))
        if self._stopped or self._has(place_of(dump)):
            self._settle(done)
            return
        yield from self._judge(dump, self._ground.archives.is_long(dump), done)

    def correct(self, late: Sequence[DumpReceived], done: Sequence[int]) -> Going[None]:
        """Take in dumps whose gap had been given up: judge again, in order, with them in their places.

        One that lies ahead of the detector is shown now: none may come behind it that would bring its turn.
        A stopped detector is corrected later, also one that has stopped at its first dump.
        """
        reached, failure = self._standing.last or self._standing.since, self._standing.failure
        own = sorted((dump for dump in late if reached and self._is_for(dump)), key=place_of)
        behind = {place_of(dump): dump for dump in own if reached and place_of(dump) < reached}
        ahead = own[len(behind) :] if failure is None else []
        if behind and failure is not None:
            self._postpone(failure, list(behind.values()), done)
        elif behind:
            yield from self._correct(behind, () if ahead else done)
        elif not ahead:
            self._settle(done)
        for dump in ahead:
            yield from self.show(dump, done if dump is ahead[-1] else ())

    def resume(self, done: Sequence[int]) -> Going[None]:
        """Go on where the detector has stopped, since the device was released."""
        failure = self._standing.failure
        if failure is not None and failure.late:
            yield from self._correct(self._known(set(failure.late)), ())
        elif failure is not None:
            self._go_on(failure)
        yield from self._catch_up(None)
        self._settle(done)

    @property
    def _stopped(self) -> bool:
        return self._standing.failure is not None

    def _has(self, place: DumpPlace) -> bool:
        return self._standing.last is not None and self._standing.last >= place

    def _catch_up(self, before: DumpPlace | None) -> Going[None]:
        """Show what was dealt with while the detector was stopped, or not in force."""
        failure = self._standing.failure
        if failure is not None and failure.version == self._rule.version:
            return
        if failure is not None:
            yield from self._take_over(failure)
        while not self._stopped:
            dump = self._next_missed()
            if dump is None or (before is not None and place_of(dump) >= before):
                return
            yield from self._judge(dump, True, ())

    def _take_over(self, failure: StepFailure) -> Going[None]:
        """Another version goes on where the one before has stopped."""
        if failure.late:
            yield from self._correct(self._known(set(failure.late)), ())
        else:
            self._go_on(failure)

    def _next_missed(self) -> DumpReceived | None:
        since, last = self._standing.since, self._standing.last
        if since is None:
            return None
        after = last or (since[0], since[1] - 1)
        dealt = self._ground.dealt(self._standing.tenant, self._standing.device, after)
        return next((dump for dump in dealt if self._is_for(dump)), None)

    def _is_for(self, dump: DumpReceived) -> bool:
        return self._rule.application in {"", dump.application}

    def _judge(self, dump: DumpReceived, long: bool, done: Sequence[int]) -> Going[None]:
        result = yield from self._stepped(dump, long)
        if isinstance(result, StepFailed):
            self._stop(dump, result, done)
        else:
            self._keep(dump, result, done)

    def _stepped(self, dump: DumpReceived, long: bool) -> Going[StepDone | StepFailed]:
        """A step from the state before; where a new version can't read that, from the dumps run again."""
        standing, chance = self._standing, self._ground.chance
        task = self._task(dump, standing.state, standing.version)
        result = yield from tried(task, long=long, chance=chance)
        foreign = standing.state is not None and standing.version != self._rule.version
        if not (foreign and isinstance(result, StepFailed) and result.kind is FailureKind.REFUSED):
            return result
        known = self._known({judged.place for judged in self._judged()})
        rerun = yield from run_again(known.values(), self._task, chance)
        if rerun.failed is not None:
            return rerun.failed[1]
        return (yield from tried(self._task(dump, rerun.state, rerun.version), long=long, chance=chance))

    def _task(self, dump: DumpReceived, state: bytes | None, state_version: str) -> Task:
        return Task(
            tenant=dump.tenant,
            device=dump.device,
            detector=self._standing.detector,
            archive=self._ground.archives.path(dump),
            dump=facts_of(dump),
            version=self._rule.version,
            config=self._rule.config,
            state=state,
            state_version=state_version,
            dictionary=self._ground.archives.dictionary(dump),
        )

    def _keep(self, dump: DumpReceived, result: StepDone, done: Sequence[int]) -> None:
        standing, place = self._standing, place_of(dump)
        findings = tuple(canonical(finding) for finding in result.findings)
        folded = fold(unpack_open(standing.open), self._folding(dump, result.state_version, result.findings))
        judged = self._as_judged(dump, result.state_version, findings)
        following: dict[str, Any] = {
            "since": standing.since or place,
            "last": place,
            "version": result.state_version,
            "digest": added(standing.digest, self._hash(place, findings)),
            "open": pack_open(folded.open),
            "state": result.state,
            "note": result.note,
        }
        taken = []
        if self._snapshots.due(standing.last, place):
            taken = [self._snapshot(place, result.state_version, result.state, folded.open)]
        self._commit(following, [judged], folded.changed, done, taken)

    def _snapshot(self, place: DumpPlace, version: str, state: bytes, going_on: OpenEpisodes) -> StepSnapshot:
        return StepSnapshot(
            epoch=place[0],
            sequence=place[1],
            version=version,
            config=self._config,
            state=state,
            open=pack_open(going_on),
        )

    def _stop(
        self, dump: DumpReceived, result: StepFailed, done: Sequence[int], late: Sequence[DumpPlace] = ()
    ) -> None:
        """Log the decision, then let it act."""
        ground, standing = self._ground, self._standing
        failed = DumpDetectorFailed(
            tenant=dump.tenant,
            device=dump.device,
            epoch=dump.epoch,
            sequence=dump.sequence,
            sha256=dump.sha256,
            detector=standing.detector,
            version=self._rule.version,
            kind=result.kind.value,
            detail=result.detail,
        )
        offset = ground.decide(self._partition, failed)
        at_ms = ground.clock.now_ms()
        episode = stopped(failed, dump, at_ms, partition=self._partition, offset=offset)
        failure = StepFailure(
            epoch=dump.epoch,
            sequence=dump.sequence,
            sha256=dump.sha256,
            version=self._rule.version,
            kind=failed.kind,
            detail=failed.detail,
            at_ms=at_ms,
            episode=episode.id,
            late=tuple(late),
        )
        following = {"failure": failure, "since": standing.since or place_of(dump)}
        self._commit(following, (), (*self._ended(at_ms), episode), done)

    def _postpone(self, failure: StepFailure, late: Sequence[DumpReceived], done: Sequence[int]) -> None:
        places = tuple(sorted({*failure.late, *(place_of(dump) for dump in late)}))
        self._commit({"failure": msgspec.structs.replace(failure, late=places)}, (), (), done)

    def _go_on(self, failure: StepFailure) -> None:
        self._commit({"failure": None}, (), self._ended(self._ground.clock.now_ms()), ())

    def _ended(self, at_ms: int) -> tuple[Episode, ...]:
        """The operational episode of a stop that is over, if there was one."""
        failure = self._standing.failure
        if failure is None:
            return ()
        episode = self._ground.commits.episode(self._standing.tenant, failure.episode)
        return () if episode is None else (goes_on(episode, failure, self._rule.version, at_ms),)

    def _correct(self, late: dict[DumpPlace, DumpReceived], done: Sequence[int]) -> Going[None]:
        before = {judged.place: judged for judged in self._judged()}
        begin = self._snapshots.last(min(late), before.values(), self._rule.version, self._config)
        behind = {place for place in before if place > place_behind(begin)}
        dumps = self._known(behind - late.keys()) | late
        in_order = [dumps[place] for place in sorted(dumps)]
        chance = self._ground.chance
        rerun = yield from run_again(in_order, self._task, chance, begin, self._snapshots)
        if rerun.failed is not None:
            self._stop(*rerun.failed, done, late=sorted(late))
            return
        self._commit_correction(rerun, before, begin, done)

    def _commit_correction(
        self,
        rerun: Rerun,
        before: dict[DumpPlace, JudgedDump],
        begin: StepSnapshot | None,
        done: Sequence[int],
    ) -> None:
        standing = self._standing
        judged, digest = [], standing.digest
        derived: dict[str, Episode] = {}
        begun = OpenEpisodes() if begin is None else unpack_open(begin.open)
        going_on = begun
        going_on_at: dict[DumpPlace, OpenEpisodes] = {}
        for dump, found in rerun.found:
            folded = fold(going_on, self._folding(dump, rerun.version, found))
            going_on = folded.open
            if place_of(dump) in rerun.states:
                going_on_at[place_of(dump)] = going_on
            derived |= {episode.id: episode for episode in folded.changed}
            findings = tuple(canonical(finding) for finding in found)
            known = before.get(place_of(dump))
            judged_by = rerun.version, self._config
            if known is None or (known.findings, known.version, known.config) != (findings, *judged_by):
                judged.append(self._as_judged(dump, rerun.version, findings, known))
                taken_out = () if known is None else (-self._hash(known.place, known.findings),)
                digest = added(digest, self._hash(place_of(dump), findings), *taken_out)
        published = self._ground.episodes(standing.tenant, standing.device, standing.detector)
        touched = [episode for episode in published if _touched(episode, begin, begun)]
        revised = revise(touched, list(derived.values()), going_on)
        places = [place_of(dump) for dump, _ in rerun.found]
        following: dict[str, Any] = {
            "since": standing.since if begin is not None else places[0],
            "last": places[-1],
            "version": rerun.version,
            "digest": digest,
            "open": pack_open(revised.open),
            "failure": None,
            "state": rerun.state,
            "note": rerun.note,
        }
        ended = self._ended(self._ground.clock.now_ms())
        taken = [
            self._snapshot(place, rerun.version, state, revised.known(going_on_at[place]))
            for place, state in sorted(rerun.states.items())
        ]
        self._commit(following, judged, (*ended, *revised.changed), done, taken, places[0])

    def _judged(self) -> Iterator[JudgedDump]:
        standing = self._standing
        return self._ground.judged(standing.tenant, standing.device, standing.detector)

    def _known(self, places: set[DumpPlace]) -> dict[DumpPlace, DumpReceived]:
        """The dumps at these places, in order."""
        if not places:
            return {}
        first = min(places)
        dealt = self._ground.dealt(self._standing.tenant, self._standing.device, (first[0], first[1] - 1))
        return {place_of(dump): dump for dump in dealt if place_of(dump) in places}

    def _folding(self, dump: DumpReceived, version: str, findings: tuple[Finding, ...]) -> Judged:
        return Judged(
            dump=dump,
            detector=self._standing.detector,
            version=version,
            partition=self._partition,
            findings=findings,
        )

    def _as_judged(
        self, dump: DumpReceived, version: str, findings: tuple[bytes, ...], known: JudgedDump | None = None
    ) -> JudgedDump:
        return JudgedDump(
            epoch=dump.epoch,
            sequence=dump.sequence,
            sha256=dump.sha256,
            version=version,
            findings=findings,
            config=self._config,
            revision=0 if known is None else known.revision + 1,
        )

    def _hash(self, place: DumpPlace, findings: tuple[bytes, ...]) -> int:
        standing = self._standing
        return findings_hash(standing.tenant, standing.device, standing.detector, *place, findings)

    def _commit(
        self,
        following: dict[str, Any],
        judged: Sequence[JudgedDump],
        episodes: Sequence[Episode],
        done: Sequence[int],
        taken: Sequence[StepSnapshot] = (),
        wrong_from: DumpPlace | None = None,
    ) -> None:
        snapshots, forgotten = self._turnover(taken, wrong_from)
        standing = msgspec.structs.replace(self._standing, revision=self._standing.revision + 1, **following)
        commit = StepCommit(
            partition=self._partition,
            lease_epoch=self._ground.lease_epoch(self._partition),
            standing=standing,
            judged=judged,
            episodes=episodes,
            done=done,
            snapshots=snapshots,
            forgotten=forgotten,
        )
        self._ground.steps.commit_step(commit)
        self._standing = standing
        if episodes:
            self._ground.published()

    def _turnover(
        self, taken: Sequence[StepSnapshot], wrong_from: DumpPlace | None
    ) -> tuple[Sequence[StepSnapshot], Sequence[DumpPlace]]:
        if not taken and wrong_from is None:
            return (), ()
        return self._snapshots.turnover(taken, wrong_from)

    def _settle(self, done: Sequence[int]) -> None:
        if done:
            epoch = self._ground.lease_epoch(self._partition)
            self._ground.steps.settle(self._partition, epoch, done)


def _touched(episode: Episode, begin: StepSnapshot | None, begun: OpenEpisodes) -> bool:
    """Whether a run from the snapshot on may say something else of it: it was not over by then."""
    if begin is None or episode.retracted or any(episode.id == going.id for _, going in begun.episodes):
        return True
    dumps = episode.evidence.dumps if episode.evidence else None
    return dumps is not None and (dumps.last.epoch, dumps.last.sequence) > begin.place
