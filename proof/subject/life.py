"""One life of a Tocsin in this process: everything but HTTP, over a data folder, until all is settled.

Senders retry what they have no answer to; what was answered in an earlier life has to be answered the same.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from proof.subject.acting import act_on_all
from proof.subject.answers import Answers, BrokenPromiseError
from proof.subject.crates import Crate
from proof.subject.delivering import check_kept, deliver
from proof.subject.haste import SETTINGS
from proof.subject.maintaining import maintain
from proof.subject.traffic import Body
from tocsin.access.device_scope import DeviceScope
from tocsin.access.principal import Principal, Role
from tocsin.access.store import DEFAULT_TENANT
from tocsin.bootstrap import Application
from tocsin.bootstrap.settings import pace_of
from tocsin.config import Config, load_config
from tocsin.config.loading import with_options
from tocsin.errors import BackpressureError, StorageFullError, StorageUnavailableError
from tocsin.services.digest import Digest
from tocsin.services.ingest import Delivery

SENDER: Final = Principal(
    DEFAULT_TENANT, frozenset({Role.ADMIN}), "sender", "sender", DeviceScope((), (), everything=True)
)
SETTLE_S: Final = 60.0
_TRY_AGAIN: Final = (BackpressureError, StorageFullError, StorageUnavailableError)


def config_of(data: Path, settings: Mapping[str, str] | None = None) -> Config:
    """The hasty configuration for a folder; the environment is left as it was, for servers started later."""
    kept = dict(os.environ)
    os.environ.update(SETTINGS | dict(settings or {}))
    try:
        return with_options(load_config(None), {"data": data})
    finally:
        os.environ.clear()
        os.environ.update(kept)


def live(
    config: Config,
    bodies: Mapping[str, Sequence[Body]],
    answers: Answers,
    *,
    machines: Sequence[Sequence[Crate]] = (),
    end: int | None = None,
) -> Digest:
    """Recover, take in everything that has no answer yet, wait until all is settled, stop in order.

    Where `machines` send dumps, somebody acts on the anomalies that there are then, and has devices in
    maintenance.
    With `end` the process ends with that code instead, at once, as a kill would end it.
    """
    application = Application(config, pace=replace(pace_of(config), idle_s=0.05))
    ended: list[BaseException] = []
    try:
        application.bootstrap_admin()
        application.runtime.start()
        senders = [
            threading.Thread(target=_send, args=(application, answers.unanswered(own), answers, ended))
            for own in bodies.values()
        ]
        if machines:
            senders.append(threading.Thread(target=_ship, args=(application, machines, answers, ended)))
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        if ended:
            raise ended[0]
        digest = _settled(application)
        if machines:
            check_kept(application, machines)
            act_on_all(application, SENDER, answers)
            maintain(application, SENDER, answers)
        if end is not None:
            os._exit(end)
        return digest
    finally:
        application.stop()


def _send(
    application: Application, bodies: Sequence[Body], answers: Answers, ended: list[BaseException]
) -> None:
    try:
        for body in bodies:
            answers.note(body, _deliver(application, body))
    except Exception as error:  # noqa: BLE001 - raised by `live`
        ended.append(error)


def _ship(
    application: Application,
    machines: Sequence[Sequence[Crate]],
    answers: Answers,
    ended: list[BaseException],
) -> None:
    try:
        deliver(application, SENDER, machines, answers)
    except Exception as error:  # noqa: BLE001 - raised by `live`
        ended.append(error)


def _deliver(application: Application, body: Body) -> str:
    deadline_s = time.monotonic() + SETTLE_S
    delivery = Delivery(body=body.payload, producer=body.producer, sequence=body.sequence)
    while True:
        try:
            return application.services.ingest.deliver_now(SENDER, delivery).body.decode()
        except _TRY_AGAIN as error:
            if application.runtime.failure is not None or time.monotonic() > deadline_s:
                raise BrokenPromiseError(f"{body.producer}/{body.sequence}: {error}") from error
            time.sleep(0.02)


def _settled(application: Application) -> Digest:
    """The digest once every record is processed, corrected, folded and in the lake."""
    deadline_s = time.monotonic() + SETTLE_S
    while time.monotonic() < deadline_s:
        if application.runtime.failure is not None:
            raise application.runtime.failure
        digest = application.runtime.views.digest(DEFAULT_TENANT)
        ends = {partition: application.log.end(partition) for partition in range(application.log.partitions)}
        if digest.caught_up and not digest.pending and application.runtime.caught_up():
            in_lake = application.lake.positions()
            if all(in_lake.get(partition, 0) >= end for partition, end in ends.items() if end):
                return digest
        time.sleep(0.02)
    raise BrokenPromiseError(f"not settled after {SETTLE_S} s: {digest}, ends {ends}")
