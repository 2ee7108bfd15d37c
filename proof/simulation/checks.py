"""What must hold when the faults are over, whatever happened before."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from proof.simulation.clients import Senders
from proof.simulation.comparing import Again, records_of
from proof.simulation.directory_checks import DirectoryChecks
from proof.simulation.dump_checks import OF_STEPS, DumpChecks
from proof.simulation.feedback_checks import FeedbackChecks
from proof.simulation.inbox_checks import InboxChecks
from proof.simulation.lives import Lives
from proof.simulation.maintainers import Maintainers
from proof.simulation.maintenance_checks import MaintenanceChecks
from proof.simulation.node import Node
from proof.simulation.people import People
from proof.simulation.plan import TENANT
from proof.simulation.stream_checks import StreamChecks
from proof.simulation.uploaders import Uploaders
from tocsin.bootstrap import Application
from tocsin.cli.integrity import Verifiable
from tocsin.inbox.abstract import AnomalyQuery
from tocsin.log.abstract import Record, RecordKind
from tocsin.model import Episode
from tocsin.payloads import decode_events
from tocsin.processing.dump_silence import REASON as LOGS_SILENT

TERMS: Final = (
    *("scored", "duplicate", "conflict", "late", "pending"),
    *("unscored_text", "unscored_clock", "unscored_quarantined"),
)
_PAGE: Final = 100_000


@dataclass(slots=True)
class Seen:
    """What a life showed at its end; the next one must show the same."""

    digests: dict[str, str] = field(default_factory=dict)
    episodes: int = 0
    silences: int = 0
    anomalies: int = 0
    readings: int = 0
    events: int = 0
    dumps: int = 0
    cut: int = 0
    actions: int = 0
    limits_moved: int = 0
    windows: int = 0


class Checks:
    """`remember` looks before the last power cut, `check` at everything after it."""

    def __init__(
        self,
        lives: Lives,
        senders: Senders,
        uploaders: Uploaders,
        people: People,
        maintainers: Maintainers,
    ) -> None:
        self.seen = Seen()
        self._streams = StreamChecks(lives)
        self._dumps = DumpChecks(lives, uploaders)
        self._inbox = InboxChecks(lives, people)
        self._feedback = FeedbackChecks(lives, people)
        self._maintenance = MaintenanceChecks(lives, maintainers)
        self._directory = DirectoryChecks(lives)
        self._findings = lives.findings
        self._senders = senders

    def remember(self, node: Node) -> None:
        """Keep the digests; nobody has a place for a dump that is not on its way any more."""
        if held := node.running().services.dumps.uploads:
            self._findings.add("places held", f"{held} of uploads that have ended")
        self.seen.digests = _digests(node.running())
        self._feedback.remember(node.running())
        self._maintenance.remember(node.running())

    def agrees(self, node: Node) -> bool:
        """Whether the directory says what the third party says."""
        return self._directory.agrees(node.running())

    def check(self, node: Node) -> None:
        """Whether every law holds."""
        application = node.running()
        found = _digests(application)
        if found != self.seen.digests:
            self._findings.add("digest after a cut", f"{self.seen.digests} before, {found} after")
        records = {
            partition: list(records_of(application, partition))
            for partition in range(application.log.partitions)
        }
        again = Again(records)
        everything = [record for own in records.values() for record in own]
        self._acknowledged(everything)
        cut = self._streams.check(application, everything)
        self.seen.cut = len(cut)
        self._dumps.check(application, everything, again.expected, cut)
        self.seen.dumps = self._dumps.judged
        self._sums(application, again)
        self._model(again)
        self._episodes(application, again)
        self._anomalies(application)
        self._inbox.check(application)
        self._directory.check(application)
        self.seen.actions = self._inbox.acted
        self.seen.limits_moved = self._feedback.check(application, everything, again.expected)
        self.seen.windows = self._maintenance.check(application, everything, again.expected)
        self._conservation(application)
        self._stores(application)

    def _acknowledged(self, records: list[Record]) -> None:
        """Everything acknowledged is there; what has a producer and sequence is there once."""
        stored: Counter[str] = Counter()
        for record in records:
            if record.kind is RecordKind.EVENTS and record.tenant == TENANT:
                batch = decode_events(record.payload)
                stored.update(
                    f"{device} {ts}"
                    for device, ts in zip(batch.device.tolist(), batch.ts.tolist(), strict=True)
                )
        sure: Counter[str] = Counter()
        most: Counter[str] = Counter()
        for told in self._senders.told:
            own = _accepted(told.body.text, told.answer.body if told.answer else b"")
            if told.answer is not None:
                sure.update(own)
            most.update(own)
            if not told.body.sequence:
                for _ in range(2 * told.attempts):
                    most.update(own)
        self.seen.events = stored.total()
        if missing := sure - stored:
            self._findings.add("lost", f"acknowledged but not stored: {dict(list(missing.items())[:5])}")
        if extra := stored - most:
            self._findings.add("doubled", f"stored too often: {dict(list(extra.items())[:5])}")

    def _sums(self, application: Application, again: Again) -> None:
        """The sums are those of the same records processed in one go."""
        for worker in application.runtime.workers:
            live, anew = worker.state.totals(), again.states[worker.partition].totals()
            for name in ("raw", "scored", "final", "counts"):
                one, other = getattr(live, name), getattr(anew, name)
                if one != other:
                    where = f"partition {worker.partition}"
                    self._findings.add(f"{name} differs", f"{where}: {one}, from its records {other}")

    def _model(self, again: Again) -> None:
        """Counts, statuses, verdicts, episodes and digests are those of the independent model."""
        for difference in again.differences():
            self._findings.add("model differs", difference)

    def _episodes(self, application: Application, again: Again) -> None:
        """Every state and revision that was committed is what the records give, and can be proved."""
        expected: dict[str, list[Episode]] = {}
        for episode in again.episodes:
            if episode.tenant == TENANT:
                expected.setdefault(episode.id, []).append(episode)
        commits = application.stores.commits
        listed = [
            episode for episode in commits.episodes(TENANT, limit=_PAGE) if episode.detector not in OF_STEPS
        ]
        if sorted(episode.id for episode in listed) != sorted(expected):
            self._findings.add(
                "episodes differ", f"{len(listed)} committed, {len(expected)} from the records"
            )
        for key, states in expected.items():
            if commits.revisions(TENANT, key) != states:
                self._findings.add("episode differs", f"{key}: {states[-1]}")
        self.seen.episodes = len(expected)
        self.seen.silences = sum(states[0].reason == LOGS_SILENT for states in expected.values())
        standing = [key for key, states in expected.items() if not states[-1].retracted]
        for episode, proof in application.runtime.views.explain_all(TENANT, standing):
            if not proof.matches:
                self._findings.add("episode not derived again", f"{proof.differences} {episode}")

    def _anomalies(self, application: Application) -> None:
        """Every episode that is told is in exactly one anomaly, and every anomaly is of episodes."""
        anomalies = application.stores.inbox.anomalies(AnomalyQuery(TENANT, limit=_PAGE))
        folded = Counter(episode for anomaly in anomalies for episode in anomaly.episodes)
        self.seen.anomalies = len(anomalies)
        listed = {episode.id for episode in application.stores.commits.episodes(TENANT, limit=_PAGE)}
        if twice := [key for key, count in folded.items() if count > 1]:
            self._findings.add("folded twice", f"{twice}")
        if set(folded) - listed:
            self._findings.add("anomaly of nothing", f"{set(folded) - listed}")
        if missing := listed - set(folded):
            commits = application.stores.commits
            silent = {key for key in missing if _alerts_nobody(commits.revisions(TENANT, key)[-1:])}
            if missing - silent:
                self._findings.add("not folded", f"{missing - silent}")

    def _conservation(self, application: Application) -> None:
        counts: Counter[str] = Counter()
        for worker in application.runtime.workers:
            state = worker.state.tenants.get(TENANT)
            if state is not None:
                counts.update(state.counts)
        accounted = sum(counts[term] for term in TERMS)
        self.seen.readings = counts["accepted"]
        if counts["accepted"] != accounted:
            self._findings.add(
                "conservation", f"accepted {counts['accepted']}, accounted for {accounted}: {counts}"
            )

    def _stores(self, application: Application) -> None:
        """No row is damaged."""
        stores = application.stores
        for store in (application.log, stores.commits, stores.checkpoints):
            if isinstance(store, Verifiable):
                for problem in store.verify():
                    self._findings.add("damaged", problem)


def _alerts_nobody(last: Sequence[Episode]) -> bool:
    """Whether an episode was taken back, or is kept back by maintenance, as it stands."""
    return all(each.retracted or each.suppressed for each in last)


def _digests(application: Application) -> dict[str, str]:
    digest = application.runtime.views.digest(TENANT)
    return {"raw": digest.digest_raw, "scored": digest.digest_scored, "final": digest.digest_final}


def _accepted(text: str, answer: bytes) -> list[str]:
    """The events of a body that were accepted, as device and time."""
    bad = {error["line"] for error in json.loads(answer)["errors"]} if answer else set()
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        if number in bad:
            continue
        try:
            event = json.loads(line)
            found.append(f"{event['device']} {event['ts' if 'ts' in event else 'time']}")
        except (ValueError, KeyError):
            continue
    return found
