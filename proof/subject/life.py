"""One life of a Tocsin in this process: everything but HTTP, over a data folder, until all is settled.

Senders retry what they have no answer to; what was answered in an earlier life has to be answered the same.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from proof.subject.haste import SETTINGS
from proof.subject.traffic import Body
from tocsin.access.device_scope import DeviceScope
from tocsin.access.principal import Principal, Role
from tocsin.access.store import DEFAULT_TENANT
from tocsin.bootstrap import Application, _pace
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


class BrokenPromiseError(Exception):
    """Something that was answered is answered differently, or never comes to an end."""


def config_of(data: Path, settings: Mapping[str, str] | None = None) -> Config:
    """The hasty configuration for a folder."""
    os.environ.update(SETTINGS | dict(settings or {}))
    return with_options(load_config(None), {"data": data})


class Answers:
    """What was answered, durable for the sender: a file outside the disk that is proved. Thread-safe."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        lines = path.read_text().splitlines()
        self._known = {(said[0], said[1]): said[2] for said in map(json.loads, lines)}

    def note(self, body: Body, answer: str) -> None:
        """An answer has come; BrokenPromiseError if it differs from an earlier one."""
        known = self._known.setdefault((body.producer, body.sequence), answer)
        if _told(known) != _told(answer):
            raise BrokenPromiseError(f"{body.producer}/{body.sequence}: {known} first, then {answer}")
        os.write(self._descriptor, (json.dumps([body.producer, body.sequence, known]) + "\n").encode())

    def unanswered(self, bodies: Sequence[Body]) -> Sequence[Body]:
        """What is still to be sent, and the last that was answered once more, as a doubtful sender would."""
        answered = sum((body.producer, body.sequence) in self._known for body in bodies)
        return bodies[max(answered - 1, 0) :]


def _told(answer: str) -> tuple[int, int, int]:
    """Lines received, refused, and taken now or before; a repeat tells the latter as repeated."""
    said = json.loads(answer)
    return said["received"], said["rejected"], said["accepted"] + said["repeated"]


def live(
    config: Config, bodies: Mapping[str, Sequence[Body]], answers: Answers, *, end: int | None = None
) -> Digest:
    """Recover, take in everything that has no answer yet, wait until all is settled, stop in order.

    With `end` the process ends with that code instead, at once, as a kill would end it.
    """
    application = Application(config, pace=replace(_pace(config), idle_s=0.05))
    ended: list[BaseException] = []
    try:
        application.bootstrap_admin()
        application.runtime.start()
        senders = [
            threading.Thread(target=_send, args=(application, answers.unanswered(own), answers, ended))
            for own in bodies.values()
        ]
        for sender in senders:
            sender.start()
        for sender in senders:
            sender.join()
        if ended:
            raise ended[0]
        digest = _settled(application)
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
