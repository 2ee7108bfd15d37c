"""Control records that the runtime itself decides: settings at the start, ticks, corrections, gaps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from itertools import groupby
from typing import Final

from tocsin import threads
from tocsin.clock import Clock
from tocsin.control import Control, Correct, Settings, SettingsChanged, Tick, decode_control, encode_control
from tocsin.detectors.usable import unusable
from tocsin.errors import CorruptError, TocsinError
from tocsin.lake.abstract import Lake
from tocsin.log.abstract import Append, Log, Part, RecordKind
from tocsin.observability.logging import get_logger
from tocsin.processing.state import TenantState
from tocsin.runtimes.embedded.worker import Worker

_log = get_logger("decisions")

DEVICES_PER_RECORD: Final = 100
DEVICES_PER_ROUND: Final = 500
READINGS_PER_RECORD: Final = 500_000
"""What the devices of one correction have sent together, as far as an average tells: it is held at once."""
GAPS_PER_ROUND: Final = 1_000
AFTER_START_S: Final = 1_800
"""No dump is given up sooner: while nothing ran, nobody could send what was missing."""


class Decides(Enum):
    """What a runtime may log by itself: who only reads leaves the log as it was."""

    ALL = "all"
    CORRECTIONS = "corrections"
    NOTHING = "nothing"


class Decisions:
    """Logs decisions before they act. Called from one thread per method, but for `require_settings`."""

    def __init__(
        self,
        log: Log,
        lake: Lake,
        workers: Sequence[Worker],
        settings_of: Callable[[str], Settings],
        tenants: Callable[[], list[str]],
        clock: Clock,
    ) -> None:
        self._log = log
        self._lake = lake
        self._workers = workers
        self._settings_of = settings_of
        self._tenants = tenants
        self._clock = clock
        self._asked: dict[int, int] = {}  # partition → end of the log after its last corrections
        self._given_up: dict[int, int] = {}  # the same after gaps
        self._started_ms = clock.now_ms()
        self._logged: dict[str, Settings] = {}
        self._last: list[tuple[int, dict[str, Settings]]] = []
        self._settling = threads.lock()

    def settings(self) -> None:
        """Log each tenant's settings where they differ from the last ones logged.

        A tenant's first settings act from the beginning of its records, later ones from now on.
        """
        self._log_changed(self._tenants())

    def require_settings(self, tenant: str) -> None:
        """Have the tenant's settings in the log, so that they are in force for whatever is logged next.

        Costs a comparison once they are; from any thread. Raises what the log refused them with.
        """
        for refusal in self._log_changed([tenant]):
            raise refusal

    def _log_changed(self, tenants: Sequence[str]) -> list[TocsinError]:
        """Log settings that are not those logged last; the refusals."""
        all_wanted = {tenant: self._settings_of(tenant) for tenant in tenants}
        if all(self._logged.get(tenant) == wanted for tenant, wanted in all_wanted.items()):
            return []
        refusals = []
        with self._settling:
            self._last = self._last or [(each.partition, self._last_settings(each)) for each in self._workers]
            for tenant, wanted in all_wanted.items():
                refused = [
                    self._log_settings(partition, tenant, wanted, known) for partition, known in self._last
                ]
                refusals += [refusal for refusal in refused if refusal is not None]
                if not any(refused):
                    self._logged[tenant] = wanted
        return refusals

    def tick(self) -> None:
        """Say in every partition that time has passed; also gives new tenants their settings."""
        self.settings()
        record = Tick(now_ms=self._clock.now_ms())
        for worker in self._workers:
            self._append("", worker.partition, record)
            self._give_up_gaps(worker, record.now_ms)

    def corrections(self) -> None:
        """Ask for corrections of devices with late readings, a bounded number at a time.

        Those whose past can't be read stay pending: once logged, a correction that fails stops everybody.
        """
        for worker in self._workers:
            if worker.lease.position < self._asked.get(worker.partition, 0):
                continue
            with worker.lock:
                dirty = {
                    tenant: (state.dirty_devices(), _devices_per_record(state))
                    for tenant, state in worker.state.tenants.items()
                }
            for tenant, (devices, at_once) in dirty.items():
                for first in range(0, min(len(devices), DEVICES_PER_ROUND), at_once):
                    named = tuple(devices[first : min(first + at_once, DEVICES_PER_ROUND)])
                    if not self._readable(worker.partition, tenant, named):
                        continue
                    self._append(tenant, worker.partition, Correct(tenant=tenant, devices=named))
                    self._asked[worker.partition] = self._log.end(worker.partition)

    def _give_up_gaps(self, worker: Worker, now_ms: int) -> None:
        """Wait no longer for dumps whose time is over, a bounded number at a time."""
        if worker.lease.position < self._given_up.get(worker.partition, 0):
            return
        with worker.lock:
            found = worker.state.dumps.overdue(now_ms, lambda tenant: self._gap_wait_ms(tenant, now_ms))
        for tenant, gaps in groupby(found[:GAPS_PER_ROUND], key=lambda gap: gap.tenant):
            if self._append(tenant, worker.partition, *gaps):
                self._given_up[worker.partition] = self._log.end(worker.partition)

    def _gap_wait_ms(self, tenant: str, now_ms: int) -> int:
        """How long before now a dump must have been found waiting, so that what it waits for is given up."""
        wait_ms = self._settings_of(tenant).dumps.gap_wait_s * 1000
        if now_ms - self._started_ms < min(wait_ms, AFTER_START_S * 1000):
            return now_ms + 1  # longer than anything has waited
        return wait_ms

    def _readable(self, partition: int, tenant: str, devices: Sequence[str]) -> bool:
        in_lake = self._lake.positions().get(partition, 0)
        try:
            self._lake.require_whole(tenant, devices, partition=partition, before_offset=in_lake)
        except CorruptError as error:
            _log.error(
                "corrections_wait",
                partition=partition,
                tenant=tenant,
                devices=len(devices),
                error=error.detail,
            )
            return False
        return True

    def _log_settings(
        self, partition: int, tenant: str, wanted: Settings, known: dict[str, Settings]
    ) -> TocsinError | None:
        """None once the partition has them in its log; `known` are the last there, by tenant."""
        last = known.get(tenant)
        if last == wanted:
            return None
        for fault in () if last is None else unusable(last):
            _log.warning("logged_settings_unusable", partition=partition, tenant=tenant, error=fault.detail)
        effective_ms = 0 if last is None else self._clock.now_ms()
        change = SettingsChanged(tenant=tenant, effective_ms=effective_ms, settings=wanted)
        refusal = self._refused(tenant, partition, change)
        if refusal is None:
            known[tenant] = wanted
        return refusal

    def _last_settings(self, worker: Worker) -> dict[str, Settings]:
        """By tenant, the last ones in the partition's log, whether they are processed yet or not."""
        with worker.lock:
            found = {
                tenant: state.timeline.settings[-1]
                for tenant, state in worker.state.tenants.items()
                if state.timeline.offsets[-1] >= 0
            }
            position = worker.state.position
        end = self._log.end(worker.partition)
        while position < end:
            records = self._log.read(worker.partition, position)
            for record in records:
                control = decode_control(record.payload) if record.kind is RecordKind.CONTROL else None
                if isinstance(control, SettingsChanged):
                    found[control.tenant] = control.settings
            position = records[-1].next_offset
        return found

    def _append(self, tenant: str, partition: int, *controls: Control) -> bool:
        """Log decisions, durable on return; False where the log refuses them: the next round asks again."""
        return self._refused(tenant, partition, *controls) is None

    def _refused(self, tenant: str, partition: int, *controls: Control) -> TocsinError | None:
        parts = tuple(Part(partition, RecordKind.CONTROL, 1, encode_control(each)) for each in controls)
        try:
            self._log.submit(Append(tenant=tenant, arrival_ms=self._clock.now_ms(), parts=parts)).result()
        except TocsinError as error:
            _log.warning("decision_not_logged", kind=type(controls[0]).__name__, error=error.detail)
            return error
        return None


def _devices_per_record(state: TenantState) -> int:
    """As many devices as have sent READINGS_PER_RECORD, if all have sent the same."""
    readings_each = state.counts["accepted"] / max(state.devices.count, 1)
    return max(1, min(DEVICES_PER_RECORD, int(READINGS_PER_RECORD / max(readings_each, 1.0))))
