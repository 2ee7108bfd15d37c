"""Dumps wait for nobody, but for the settings that say which detectors are shown them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from proof.model.tally import DETECTOR
from proof.simulation.archives import Parcel
from proof.subject.crates import crates
from proof.subject.delivering import announced
from proof.subject.life import config_of
from proof.subject.local import LOCAL
from tocsin.access.device_scope import DeviceScope
from tocsin.access.principal import Principal, Role
from tocsin.access.store import DEFAULT_TENANT
from tocsin.bootstrap import Application
from tocsin.bootstrap.settings import pace_of
from tocsin.control import SettingsChanged, decode_control
from tocsin.errors import StorageFullError
from tocsin.log.abstract import Append, Appended, Log, RecordKind

NEVER_S = 1e6
PARCELS: list[Parcel] = [crate.parcel for crate in crates("north", 1)]


@contextmanager
def application(data: Path) -> Iterator[Application]:
    """Everything but HTTP; no tick ever comes."""
    config = config_of(data)
    made = Application(config, pace=replace(pace_of(config), idle_s=0.05, tick_s=NEVER_S), detectors=LOCAL)
    try:
        made.bootstrap_admin()
        yield made
    finally:
        made.stop()


def send(application: Application, tenant: str) -> None:
    """All dumps of a machine."""
    scope = DeviceScope((), (), everything=True)
    sender = Principal(tenant, frozenset({Role.ADMIN}), "sender", "sender", scope)

    async def deliver() -> None:
        for parcel in PARCELS:
            await application.services.dumps.receive(sender, announced(parcel), pieces(parcel.body))

    asyncio.run(deliver())


async def pieces(body: bytes) -> AsyncIterator[bytes]:
    yield body


def judged(application: Application, tenant: str) -> int:
    """How many dumps were, once everything is settled."""
    while not application.runtime.caught_up():
        assert application.runtime.failure is None
        time.sleep(0.01)
    steps = application.stores.steps
    assert steps is not None
    numbers = {parcel.number for parcel in PARCELS}
    device = PARCELS[0].plan.device
    return sum(len(steps.revisions(tenant, device, DETECTOR, number)) for number in numbers)


def settings_logged(log: Log, tenant: str) -> list[int]:
    """How often, by partition."""
    records = [
        (partition, record)
        for partition in range(log.partitions)
        for record in log.read(partition, 0)
        if record.kind is RecordKind.CONTROL
    ]
    decided = [(partition, decode_control(record.payload)) for partition, record in records]
    found = [where for where, each in decided if isinstance(each, SettingsChanged) and each.tenant == tenant]
    return [found.count(partition) for partition in range(log.partitions)]


def test_the_first_dumps_of_a_new_tenant_are_judged(tmp_path: Path) -> None:
    """They may come before any tick: what settles which detectors there are is logged before them, once."""
    with application(tmp_path) as running:
        running.runtime.start()
        running.access.create_tenant("later", created_by="admin")
        send(running, "later")
        assert judged(running, "later") == 5
        assert settings_logged(running.log, "later") == [1, 1]


def test_dumps_after_a_start_with_a_full_disk_are_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The settings could not be logged then, so a dump is refused until they are, and none goes unseen."""
    with application(tmp_path) as running:
        submit = running.log.submit

        def full_for_decisions(append: Append) -> Future[Appended]:
            if not append.producer:
                raise StorageFullError("no room")
            return submit(append)

        with monkeypatch.context() as full:
            full.setattr(running.log, "submit", full_for_decisions)
            running.runtime.start()
            with pytest.raises(StorageFullError):
                send(running, DEFAULT_TENANT)
        send(running, DEFAULT_TENANT)
        assert judged(running, DEFAULT_TENANT) == 5
        assert settings_logged(running.log, DEFAULT_TENANT) == [1, 1]
