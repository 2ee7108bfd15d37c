"""Compares what the stores say after a cut with what was promised before it, and with the whole past."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from proof.power.dumps import Name
from proof.power.history import History
from proof.power.views import (
    AccessView,
    BlobView,
    CheckpointView,
    CommitView,
    InboxView,
    LakeView,
    LogView,
    PositionView,
    View,
    WindowsView,
)
from proof.subject.promise import Promise
from tocsin.access.store import DEFAULT_TENANT
from tocsin.services.dump_claims import logged_claim


class Harm(StrEnum):
    """What a power cut must never do."""

    LOST = "lost"
    DUPLICATED = "duplicated"
    CORRUPT = "corrupt"


@dataclass(frozen=True, slots=True)
class Finding:
    """One harm, in words."""

    harm: Harm
    words: str


@dataclass(slots=True)
class Views:
    """What all stores say about one state of the disk."""

    log: LogView
    commit: CommitView
    checkpoints: CheckpointView
    inbox: InboxView
    findings: PositionView
    windows: WindowsView
    access: AccessView
    audit: View
    catalogue: View
    replays: View
    lake: LakeView
    blobs: BlobView


@dataclass(slots=True)
class _Judgement:
    history: History
    found: list[Finding] = field(default_factory=list)

    def expect(self, holds: bool, harm: Harm, words: str) -> None:
        if not holds:
            self.found.append(Finding(harm, words))


def judge(views: Views, promises: Sequence[Promise], history: History) -> list[Finding]:
    """Every harm that can be told from what the stores say."""
    judgement = _Judgement(history)
    for name in Views.__slots__:
        view: View = getattr(views, name)
        judgement.found += [Finding(Harm.CORRUPT, words) for words in view.problems]
    _judge_log(judgement, views.log)
    _judge_promises(judgement, views, promises)
    _judge_positions(judgement, views)
    _judge_dumps(judgement, views)
    _judge_actions(judgement, views.inbox)
    judgement.found += judge_windows(history, views.log, views.windows, promises)
    return judgement.found


def judge_windows(
    history: History, log: LogView, windows: WindowsView, promises: Sequence[Promise]
) -> list[Finding]:
    """Maintenance is kept first, then logged, then noted as logged, then told; what is over is over."""
    judgement = _Judgement(history)
    for (name, revision), (partition, offset) in history.windows.items():
        if offset < log.ends[partition]:
            kept = windows.revisions.get(name, 0)
            words = f"windows: the log has {name}, {revision}, there is {kept}"
            judgement.expect(kept >= revision, Harm.LOST, words)
    for name, revision in windows.logged.items():
        known = not revision or _is_logged(history, log, name, revision)
        judgement.expect(known, Harm.LOST, f"windows: {name}, {revision} is noted as logged and is not")
    for promise in promises:
        if promise.kind == "window":
            name, revision = promise.name, int(promise.sequence)
            kept = windows.revisions.get(name, 0)
            judgement.expect(kept >= revision, Harm.LOST, f"windows: {promise} was told, there is {kept}")
            known = _is_logged(history, log, name, revision)
            judgement.expect(known, Harm.LOST, f"log: {promise} was told and is gone")
    return judgement.found


def _is_logged(history: History, log: LogView, window: str, revision: int) -> bool:
    """This revision, or one in its place: of what was ended before it was logged, the end alone is."""
    return any(
        log.ends[partition] > offset
        for (name, found), (partition, offset) in history.windows.items()
        if name == window and found >= revision
    )


def _judge_log(judgement: _Judgement, log: LogView) -> None:
    """What is there is the past, record by record, without a gap and without anything else."""
    past = judgement.history.hashes
    for place, found in log.records.items():
        judgement.expect(past.get(place) == found, Harm.DUPLICATED, f"log: another record at {place}")
    for number, body in log.letters.items():
        known = judgement.history.letters.get(number)
        judgement.expect(
            known is not None and known.letter.body == body,
            Harm.DUPLICATED,
            f"log: another dead letter {number}",
        )


def _judge_promises(judgement: _Judgement, views: Views, promises: Sequence[Promise]) -> None:
    for promise in promises:
        if promise.kind == "key":
            judgement.expect(views.access.key_works, Harm.LOST, "access: the first key does not work")
        elif promise.kind == "body":
            _judge_body(judgement, views.log, promise)
        elif promise.kind in {"dump", "piece"}:
            _judge_dump(judgement, views, promise)
        elif promise.kind in {"action", "feedback"}:
            _judge_action(judgement, views, promise)
        elif promise.kind in {"credential", "revoked"}:
            wanted = promise.kind == "revoked"
            found = views.access.revoked.get(promise.name)
            holds = found is not None and (found or not wanted)
            judgement.expect(holds, Harm.LOST, f"access: {promise.name} was {promise.kind}, now {found}")


def _judge_body(judgement: _Judgement, log: LogView, promise: Promise) -> None:
    """What was answered is there with all its records, and is answered the same when it is repeated."""
    name = (promise.producer, promise.sequence)
    expected = judgement.history.answers.get(name)
    if expected is None:
        judgement.expect(_is_nothing(promise), Harm.LOST, f"log: {name} was answered and never logged")
        return
    judgement.expect(name in log.answers, Harm.LOST, f"log: {name} was answered and is gone")
    if name in log.answers:
        judgement.expect(
            log.answers[name] == expected.answer, Harm.CORRUPT, f"log: {name} has another answer"
        )
    parts = judgement.history.parts_of(name)
    for partition, end in parts:
        judgement.expect(
            log.ends[partition] >= end, Harm.LOST, f"log: {name} needs partition {partition} up to {end}"
        )


def _judge_dump(judgement: _Judgement, views: Views, promise: Promise) -> None:
    """What was taken is whole, first of its number and in the log; of other uploads that much is there."""
    name, sha256, said = Name(promise.name, 0, int(promise.sequence)), promise.answer, views.blobs.said
    if promise.kind == "piece":
        kept = said.staged.get(logged_claim(DEFAULT_TENANT, name.id, sha256), 0)
        holds = sha256 in said.whole or kept >= promise.status
        judgement.expect(holds, Harm.LOST, f"blobs: {kept} of {promise.status} bytes of {name} are left")
        return
    known = sha256 in said.whole and said.first.get(name) == sha256 and (name, sha256) in said.logged
    judgement.expect(known, Harm.LOST, f"blobs: {name} was taken and is gone")
    partition, offset = judgement.history.dumps[name, sha256]
    judgement.expect(views.log.ends[partition] > offset, Harm.LOST, f"log: {name} was taken and is gone")


def _judge_action(judgement: _Judgement, views: Views, promise: Promise) -> None:
    """What somebody was told to be done is in the inbox; feedback is in the log, too."""
    number = int(promise.sequence)
    if promise.kind == "action":
        found = views.inbox.actions.get(number)
        judgement.expect(found == promise.answer, Harm.LOST, f"inbox: {promise} was told, there is {found}")
        return
    place = judgement.history.feedback.get(number)
    known = place is not None and views.log.ends[place[0]] > place[1]
    judgement.expect(known, Harm.LOST, f"log: feedback {number} was told and is gone")


def _judge_actions(judgement: _Judgement, inbox: InboxView) -> None:
    """Those that are there are the first ones of the past, each once."""
    past = {number: key for number, key in judgement.history.actions.items() if number in inbox.actions}
    whole = list(inbox.actions) == list(range(1, len(inbox.actions) + 1))
    judgement.expect(inbox.actions == past and whole, Harm.DUPLICATED, f"inbox: actions {inbox.actions}")


def _judge_dumps(judgement: _Judgement, views: Views) -> None:
    """What is in the log is kept; what a commit has set free is ready or judged, each once, no more."""
    history, said, steps = judgement.history, views.blobs.said, views.commit.steps
    for (name, sha256), (partition, offset) in history.dumps.items():
        if offset < views.log.ends[partition]:
            holds = sha256 in said.whole and said.first.get(name) == sha256
            judgement.expect(holds, Harm.LOST, f"blobs: {name} is in the log alone")
    freed = [
        dump
        for (partition, offset), dumps in history.freed.items()
        if offset < views.commit.positions.get(partition, 0)
        for dump in dumps
    ]
    found = steps.ready + steps.dealt
    lost = Counter(name for name, _ in freed) - found
    judgement.expect(not lost, Harm.LOST, f"steps: set free and gone: {lost}")
    judgement.expect(found == Counter(set(found)), Harm.DUPLICATED, f"steps: twice: {found}")
    watched = Counter(name for name, seen in freed if seen and name in steps.dealt)
    harm = Harm.LOST if watched - steps.judged else Harm.DUPLICATED
    judgement.expect(steps.judged == watched, harm, f"steps: judged {steps.judged}, dealt with {watched}")
    for device, (count, digest) in steps.sums.items():
        sums = history.sums[device]
        same = count < len(sums) and digest == sums[count]
        judgement.expect(same, Harm.CORRUPT, f"steps: other findings in the first {count} dumps of {device}")


def _is_nothing(promise: Promise) -> bool:
    """Whether nothing of the body was to be kept."""
    return '"accepted":0' in promise.answer and '"rejected":0' in promise.answer


def _judge_positions(judgement: _Judgement, views: Views) -> None:
    """Nobody is ahead of what it is made from; nothing is trimmed before all have it."""
    log, commit, lake = views.log, views.commit, views.lake
    for partition, (begin, end) in enumerate(zip(log.begins, log.ends, strict=True)):
        place = f"partition {partition}"
        position = commit.positions.get(partition, 0)
        in_lake = lake.positions.get(partition, 0)
        judgement.expect(position <= end, Harm.LOST, f"{place}: committed {position}, the log ends at {end}")
        judgement.expect(in_lake <= end, Harm.LOST, f"{place}: {in_lake} in the lake, the log ends at {end}")
        judgement.expect(begin <= in_lake, Harm.LOST, f"{place}: trimmed to {begin}, {in_lake} in the lake")
        judgement.expect(begin <= position, Harm.LOST, f"{place}: trimmed to {begin}, committed {position}")
        known = judgement.history.totals.get((partition, position))
        if position:
            same = known is not None and known == commit.totals.get(partition)
            judgement.expect(same, Harm.CORRUPT, f"{place}: other sums at {position}")
        newest = views.checkpoints.newest.get(partition, 0)
        judgement.expect(newest <= position, Harm.CORRUPT, f"{place}: checkpoint {newest} beyond {position}")
        found = views.findings.positions.get(partition, 0)
        judgement.expect(found <= position, Harm.CORRUPT, f"{place}: findings {found} beyond {position}")
    _judge_outbox(judgement, views)


def _judge_outbox(judgement: _Judgement, views: Views) -> None:
    """Every episode is in the inbox and in the lake, or still in the outbox."""
    outbox = views.commit.outbox
    for name, position in (("inbox", views.inbox.position), ("lake", views.lake.projected)):
        waiting = [sequence for sequence in outbox if sequence > position]
        first = position + 1
        judgement.expect(
            waiting == list(range(first, first + len(waiting))),
            Harm.LOST,
            f"{name} at {position}: outbox {outbox}",
        )
        last = max(outbox, default=position)
        judgement.expect(position <= last or not outbox, Harm.CORRUPT, f"{name} {position} beyond {last}")
