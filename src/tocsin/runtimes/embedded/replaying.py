"""Replays: every device derived again from its raw records, and compared with what is stored."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tocsin.control import Correct, encode_control
from tocsin.log.abstract import Append, Log, Part, RecordKind
from tocsin.model import SeriesKey
from tocsin.processing.batching import Events
from tocsin.processing.corrections import derive, scratch_of
from tocsin.processing.state import TenantState, digest_sums
from tocsin.runtimes.embedded.worker import Worker

_DEVICES_PER_RECORD = 20

History = Callable[[str, str, int], Events]


@dataclass(frozen=True, slots=True)
class Replayed:
    """A device that was derived again; `differing` names the parameters whose verdicts are others now."""

    partition: int
    device: str
    readings: int
    differing: tuple[str, ...]


def replay(
    workers: Sequence[Worker], history: History, tenant: str, devices: Sequence[str] = ()
) -> Iterator[Replayed]:
    """Derive these devices (none named = all) from the beginning, one a step; changes nothing.

    What is compared is the digest `final` of each series, so devices with late readings that no
    correction has taken up yet differ. Costs one pass over each device's whole history.
    """
    for worker in workers:
        with worker.lock:
            state = worker.state.tenants.get(tenant)
            if state is None:
                continue
            before_offset = worker.state.position
            stored = dict(digest_sums(state)["final"])
            names = [name for name in state.names.names().tolist() if not devices or name in devices]
        for name in names:
            found = _derived(worker, state, history, name, before_offset)
            yield _compared(worker.partition, name, stored, found)


def order_corrections(log: Log, tenant: str, replayed: Sequence[Replayed], now_ms: int) -> None:
    """Log the decision to correct these devices, durable on return; the processor then revises episodes."""
    for partition in sorted({each.partition for each in replayed}):
        names = [each.device for each in replayed if each.partition == partition]
        for first in range(0, len(names), _DEVICES_PER_RECORD):
            record = Correct(tenant=tenant, devices=tuple(names[first : first + _DEVICES_PER_RECORD]))
            part = Part(partition, RecordKind.CONTROL, 1, encode_control(record))
            log.submit(Append(tenant=tenant, arrival_ms=now_ms, parts=(part,))).result()


def _derived(
    worker: Worker, state: TenantState, history: History, name: str, before_offset: int
) -> tuple[int, dict[SeriesKey, int]]:
    with worker.lock:
        scratch = scratch_of(state, name)
    if scratch is None:
        return 0, {}
    judged = derive(history(state.tenant, name, before_offset), scratch)
    readings = sum(part.batch.readings for part in judged)
    return readings, dict(digest_sums(scratch.state)["scored"])


def _compared(
    partition: int, name: str, stored: dict[SeriesKey, int], found: tuple[int, dict[SeriesKey, int]]
) -> Replayed:
    readings, sums = found
    differing = sorted(
        {key.parameter for key, number in sums.items() if key.parameter and stored.get(key) != number}
    )
    return Replayed(partition, name, readings, tuple(differing))
