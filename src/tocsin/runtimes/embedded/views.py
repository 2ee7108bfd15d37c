"""What people ask of the processor's state: devices, digests, bands, proofs.

Each answer holds a worker's lock briefly.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Final

import msgspec
import numpy as np

from tocsin import threads
from tocsin.commit.abstract import CommitStore
from tocsin.commit.dump_steps import DumpStepStore
from tocsin.control import LIMIT_FACTORS, DictionaryTaken, FeedbackGiven, decode_control
from tocsin.errors import BackpressureError, InvalidInputError, NotFoundError
from tocsin.log.abstract import Log, RecordKind
from tocsin.model import Episode, SeriesKey
from tocsin.processing import dump_silence
from tocsin.processing.corrections import derive, scratch_of
from tocsin.processing.dump_gaps import prove_gap
from tocsin.processing.dump_order import DumpPlace
from tocsin.processing.dump_places import PlacedDump, PlacedDumps, place_dumps
from tocsin.processing.episodes import DUMP_DETECTOR
from tocsin.processing.feedback import remembered
from tocsin.processing.hashing import combine
from tocsin.processing.judging import Judged
from tocsin.processing.preview import Difference, run, trial
from tocsin.processing.proof import Proof, prove, span
from tocsin.processing.standing import as_it_stands, lasting_ids
from tocsin.processing.state import TenantState, digest_sums
from tocsin.runtimes.embedded.dump_proofs import Claim, DumpProofs
from tocsin.runtimes.embedded.history import DeviceHistory
from tocsin.runtimes.embedded.worker import Worker
from tocsin.services.devices import Device
from tocsin.services.digest import Digest
from tocsin.services.series import Band, MovedLimit
from tocsin.sharding import partition_of, shard_of

PREVIEW_READINGS_MAX: Final = 5_000_000
"""Of a device: some seconds of work, and 200 MB while it lasts."""
_NO_DUMP_DETECTORS: Final = "it can't be derived again: this runtime runs no dump detectors"
_BANDS_AT_ONCE: Final = 4  # each holds a device's whole past


class Views:
    """Implements the services' ports Fleet, Digests, Bands, Proofs and InForce over the workers' states."""

    def __init__(
        self,
        workers: Sequence[Worker],
        log: Log,
        commits: CommitStore,
        history: DeviceHistory,
        steps: DumpStepStore | None = None,
        dump_proofs: DumpProofs | None = None,
    ) -> None:
        self._workers = workers
        self._log = log
        self._commits = commits
        self._history = history
        self._steps = steps
        self._dump_proofs = dump_proofs
        self._previewing = threads.lock()
        self._deriving = threads.semaphore(_BANDS_AT_ONCE)
        self._names: dict[str, tuple[tuple[int, int], list[str]]] = {}
        self.patience_s: float = -1
        """How long a question waits for a step to end before it is refused; -1 = as long as it takes."""

    def devices(self, tenant: str, *, after: str = "", limit: int = 100) -> Sequence[Device]:
        """Devices with names above `after`, ordered by name."""
        names = self._sorted_names(tenant)
        first = bisect_right(names, after)
        found = (self.device(tenant, name) for name in names[first : first + limit])
        return [device for device in found if device is not None]

    def names(self, tenant: str) -> Sequence[str]:
        """The names of all devices in order; none ever goes."""
        return self._sorted_names(tenant)

    def device(self, tenant: str, device: str) -> Device | None:
        """One device, None if it never sent anything."""
        worker = self._worker(tenant, device)
        with worker.seen(self.patience_s):
            order = worker.state.dumps.find(tenant, device)
            dumps = sum(order.counts.values()) if order else 0
            state = worker.state.tenants.get(tenant)
            number = state.device_number(device) if state else None
            if state is not None and number is not None:
                return _device(state, number, dumps)
        if not dumps:
            return None
        return Device(device=device, application="", version="", parameters=(), last_ms=0, dumps=dumps)

    def sends_dumps(self, tenant: str, device: str) -> bool:
        """Whether the device ever sent a dump."""
        worker = self._worker(tenant, device)
        with worker.seen(self.patience_s):
            return worker.state.dumps.find(tenant, device) is not None

    def dictionaries(self, tenant: str) -> dict[str, str]:
        """By application, the newest dictionary taken over, whether it is processed yet or not.

        Every partition has the same ones, so that of the first is asked.
        """
        worker = self._workers[0]
        with worker.seen(self.patience_s):
            taken = list(worker.state.dictionaries.taken.get(tenant, ()))
            position = worker.state.position
        found = {each.application: each.sha256 for each in taken}
        while records := self._log.read(worker.partition, position):
            for record in records:
                if record.kind is RecordKind.CONTROL and record.tenant == tenant:
                    control = decode_control(record.payload)
                    if isinstance(control, DictionaryTaken):
                        found[control.application] = control.sha256
            position = records[-1].next_offset
        return found

    def free_dump_place(self, tenant: str, device: str) -> tuple[int, int]:
        """Epoch and number behind all dumps of the device that have been processed."""
        worker = self._worker(tenant, device)
        with worker.seen(self.patience_s):
            order = worker.state.dumps.find(tenant, device)
            return order.free_place() if order else (0, 1)

    def cut_to_ms(self, partition: int) -> Mapping[tuple[str, str], int]:
        """Where each device's last window of log lines that has been processed ended, in time."""
        with self._workers[partition].seen(self.patience_s) as state:
            return state.dumps.cut_to_ms()

    def dumps(self, tenant: str, device: str) -> PlacedDumps | None:
        """Every dump of a device as of everything committed, None if it never sent one; reads the lake."""
        worker = self._worker(tenant, device)
        with worker.seen(self.patience_s):
            known = worker.state.dumps.find(tenant, device) is not None
            before_offset = worker.state.position
        if not known:
            return None
        found = place_dumps(decision for _, decision in self._history.dumps(tenant, device, before_offset))
        if self._steps is None:  # nothing runs detectors
            return found
        ready = self._steps.ready_of(tenant, device, limit=len(found.dumps))
        left = {(item.freed.dump.epoch, item.freed.dump.sequence) for item in ready}
        standings = self._steps.standings(tenant, device)
        return msgspec.structs.replace(
            found,
            dumps=tuple(_processed(item, left) for item in found.dumps),
            notes={name: each.note for name, each in sorted(standings.items()) if each.note},
        )

    def digest(self, tenant: str) -> Digest:
        """The digests over all series of a tenant, as of everything committed; O(series)."""
        sums: dict[str, list[tuple[SeriesKey, int]]] = {"raw": [], "scored": [], "final": []}
        counts: Counter[str] = Counter()
        pending, caught_up = 0, True
        for worker in self._workers:
            with worker.seen(self.patience_s):
                caught_up &= worker.state.position == self._log.end(worker.partition)
                state = worker.state.tenants.get(tenant)
                if state is not None:
                    counts.update(state.counts)
                    pending += state.pending_corrections
                    for name, found in digest_sums(state).items():
                        sums[name] += found
        waiting = self._steps.waiting(tenant) if self._steps else 0
        return Digest(
            digest_raw=combine(sums["raw"]),
            digest_scored=combine(sums["scored"]),
            digest_final=combine(sums["final"]),
            digest_dumps=combine(self._dump_sums(tenant)),
            counts=dict(sorted(counts.items())),
            pending=pending,
            dumps_unjudged=waiting,
            caught_up=caught_up and not waiting,
        )

    def _dump_sums(self, tenant: str) -> list[tuple[SeriesKey, int]]:
        """The sums of findings by device and detector, which takes a parameter's place in the key."""
        found = self._steps.digests(tenant) if self._steps else []
        return [(SeriesKey(tenant, "", device, detector), total) for device, detector, total in found]

    def band(self, tenant: str, device: str, parameter: str, from_ms: int, to_ms: int) -> Band:
        """The readings of a series with the band they were judged by, derived again from all its past.

        A few at a time: others wait.
        """
        worker = self._worker(tenant, device)
        with worker.seen(self.patience_s):
            state = worker.state.tenants.get(tenant)
            scratch = scratch_of(state, device) if state else None
            before_offset = worker.state.position
        if scratch is None:
            return _band([], parameter, from_ms, to_ms)
        with self._deriving:
            judged = derive(self._history(tenant, device, before_offset), scratch)
            return _band(judged, parameter, from_ms, to_ms)

    def moved_limits(self, tenant: str, device: str) -> Mapping[str, Sequence[MovedLimit]]:
        """Feedback on a device's series by parameter, of each by application and detector, oldest first."""
        worker = self._worker(tenant, device)
        with worker.seen(self.patience_s):
            state = worker.state.tenants.get(tenant)
            number = state.device_number(device) if state else None
            return {} if state is None or number is None else moved_limits(state, number)

    def has_heard_all(self, tenant: str, device: str) -> bool:
        """Whether all feedback on the device that is logged was taken; False where that is not known."""
        worker = self._worker(tenant, device)
        try:
            with worker.seen(self.patience_s):
                position = worker.state.position
            records = self._log.read(worker.partition, position)
        except (BackpressureError, NotFoundError):  # it is busy, or has gone on and this was trimmed
            return False
        controls = (each for each in records if each.kind is RecordKind.CONTROL and each.tenant == tenant)
        said = (decode_control(each.payload) for each in controls)
        if any(isinstance(each, FeedbackGiven) and each.device == device for each in said):
            return False
        return (records[-1].next_offset if records else position) >= self._log.end(worker.partition)

    def preview(self, said: FeedbackGiven, span_ms: int) -> Difference:
        """What feedback would have changed at the end of a device's past; one at a time.

        InvalidInputError where that past is too long to be judged again while somebody waits.
        """
        worker = self._worker(said.tenant, said.device)
        with worker.seen(self.patience_s):
            state = worker.state.tenants.get(said.tenant)
            tried = trial(state, said, span_ms) if state else None
            before_offset = worker.state.position
        if tried is None:
            return Difference(0, 0, (), ())
        with self._previewing:
            events = self._history(said.tenant, said.device, before_offset)
            if events.batch.readings > PREVIEW_READINGS_MAX:
                raise InvalidInputError(
                    f"The device has sent {events.batch.readings:,} readings, too many for a preview "
                    f"({PREVIEW_READINGS_MAX:,}).",
                    field="anomaly",
                )
            return run(tried, events)

    def explain(self, tenant: str, episode_id: str) -> tuple[Episode, Proof]:
        """Derive an episode again and compare; NotFoundError if the tenant has none with this id."""
        return self.explain_all(tenant, [episode_id])[0]

    def explain_all(self, tenant: str, ids: Sequence[str]) -> list[tuple[Episode, Proof]]:
        """The same for many, in the order given; dumps are shown once for all that came of them."""
        found = [self._found(tenant, episode_id) for episode_id in ids]
        claims = {
            index: Claim(episode, episode.evidence, episode.evidence.dumps)
            for index, episode in enumerate(found)
            if not episode.retracted and episode.evidence is not None and episode.evidence.dumps is not None
        }
        from_dumps = dict(zip(claims, self._dumps_again(list(claims.values())), strict=True))
        return [
            (episode, from_dumps.get(index) or self._readings_again(episode))
            for index, episode in enumerate(found)
        ]

    def _found(self, tenant: str, episode_id: str) -> Episode:
        episode = self._commits.episode(tenant, episode_id)
        if episode is None:
            raise NotFoundError(f"there is no episode {episode_id}")
        return episode

    def _readings_again(self, episode: Episode) -> Proof:
        """The proof of what came of readings, or of dumps that did not come."""
        evidence = episode.evidence
        if episode.retracted or evidence is None:
            return Proof(False, 0, ("the episode was retracted: nothing was abnormal",))
        if episode.detector == DUMP_DETECTOR:
            decisions = self._history.dumps(episode.tenant, episode.device, evidence.before_offset)
            silent = episode.reason == dump_silence.REASON
            return (dump_silence.prove_silence if silent else prove_gap)(episode, decisions)
        from_ms, to_ms = span(episode, evidence)
        events = self._history.between(episode.tenant, episode.device, evidence.before_offset, from_ms, to_ms)
        return prove(episode, events)

    def _dumps_again(self, claims: Sequence[Claim]) -> list[Proof]:
        if self._dump_proofs is None:
            return [Proof(False, 0, (_NO_DUMP_DETECTORS,)) for _ in claims]
        return self._dump_proofs.prove(claims)

    def lasting(self, tenant: str, devices: Collection[str]) -> set[str]:
        """Ids of the episodes of these devices that have not ended."""
        found: set[str] = set()
        for worker, names in self._by_worker(tenant, devices).items():
            with worker.seen(self.patience_s):
                state = worker.state.tenants.get(tenant)
                if state is not None:
                    found |= lasting_ids(state, names)
        return found

    def as_they_stand(self, tenant: str, episodes: Sequence[Episode], now_ms: int) -> list[Episode]:
        """The episodes with span, peak and sentence as of the newest record, in the order given."""
        found: dict[str, Episode] = {}
        for worker, names in self._by_worker(tenant, {each.device for each in episodes}).items():
            with worker.seen(self.patience_s):
                state = worker.state.tenants.get(tenant)
                if state is not None:
                    own = (each for each in episodes if each.device in names)
                    found |= {each.id: as_it_stands(each, state, now_ms) for each in own}
        return [found.get(each.id, each) for each in episodes]

    def _by_worker(self, tenant: str, devices: Collection[str]) -> dict[Worker, set[str]]:
        """The devices by who holds their state, so that each lock is taken once."""
        shared: dict[Worker, set[str]] = {}
        for device in devices:
            shared.setdefault(self._worker(tenant, device), set()).add(device)
        return shared

    def _worker(self, tenant: str, device: str) -> Worker:
        return self._workers[partition_of(shard_of(tenant, device), len(self._workers))]

    def _sorted_names(self, tenant: str) -> list[str]:
        """All device names in order; sorted anew only when devices have come."""
        patience_s = self.patience_s
        states = [worker.state.tenants.get(tenant) for worker in self._workers]
        senders = [name for worker in self._workers for name in _dump_senders(worker, tenant, patience_s)]
        counts = (sum(state.devices.count for state in states if state), len(senders))
        known, names = self._names.get(tenant, ((-1, -1), []))
        if known != counts:
            names = sorted(
                {name for worker in self._workers for name in _names(worker, tenant, patience_s)}.union(
                    senders
                )
            )
            self._names[tenant] = (counts, names)
        return names


def _processed(item: PlacedDump, left: Collection[tuple[int, int]]) -> PlacedDump:
    """The dump as it stands when `left` are still to be shown to detectors."""
    done = item.place is DumpPlace.READY and item.key[:2] not in left
    return msgspec.structs.replace(item, processed=done)


def _names(worker: Worker, tenant: str, patience_s: float) -> list[str]:
    with worker.seen(patience_s):
        state = worker.state.tenants.get(tenant)
        return state.names.names().tolist() if state else []


def _dump_senders(worker: Worker, tenant: str, patience_s: float) -> list[str]:
    with worker.seen(patience_s):
        return worker.state.dumps.devices(tenant)


def moved_limits(state: TenantState, device: int) -> dict[str, list[MovedLimit]]:
    """Feedback on a device's series by parameter, of each by application and detector, oldest first."""
    found: dict[str, list[MovedLimit]] = {}
    used = {name: slot for name, slot in state.slots.items() if slot.feedback.used}
    for number in sorted(state.device_series(device)) if used else ():
        for name, slot in used.items():
            for each in remembered(slot.feedback.of(number)):
                key = state.series_key(number)
                limit = MovedLimit(key.application, name, LIMIT_FACTORS[each.steps], each)
                found.setdefault(key.parameter, []).append(limit)
    return found


def _device(state: TenantState, number: int, dumps: int) -> Device:
    row = state.devices.rows[number]
    application, version = state.streams[int(row["stream"])] if state.streams else ("", "")
    parameters = sorted({state.series_key(series).parameter for series in state.device_series(number)})
    return Device(
        device=state.names.name(number),
        application=application,
        version=version,
        parameters=tuple(parameters),
        last_ms=max(int(row["newest_ms"]), 0),
        quarantined=bool(row["quarantined"]),
        dumps=dumps,
    )


def _band(judged: list[Judged], parameter: str, from_ms: int, to_ms: int) -> Band:
    """The rows of one parameter, judged by the first detector that has a band."""
    parts = []
    for batch in judged:
        verdicts = batch.verdicts[0] if batch.verdicts else None
        if verdicts is None or parameter not in batch.batch.names:
            continue
        code = batch.batch.names.index(parameter)
        readings, scores = verdicts.gathered.readings, verdicts.scores
        keep = batch.batch.parameter[verdicts.gathered.row] == code
        keep &= (readings.ts >= from_ms) & (readings.ts < to_ms)
        columns = (readings.ts, readings.value, scores.expected, scores.lower, scores.upper, scores.verdict)
        parts.append([column[keep] for column in columns])
    if not parts:
        none = np.zeros(0)
        return Band(np.zeros(0, np.int64), none, none, none, none, np.zeros(0, np.uint8))
    return Band(*(np.concatenate(column) for column in zip(*parts, strict=True)))
