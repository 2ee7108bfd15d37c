"""Dumps handed to the services of a Tocsin in this process, whole or in pieces, until all are taken."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from typing import Final

from proof.model.tally import DETECTOR
from proof.simulation.archives import Parcel
from proof.subject.answers import Answers, BrokenPromiseError
from proof.subject.crates import Crate
from tocsin.access.principal import Principal
from tocsin.access.store import DEFAULT_TENANT
from tocsin.bootstrap import Application
from tocsin.errors import BackpressureError, StorageFullError, StorageUnavailableError
from tocsin.services.dump_claims import Kept
from tocsin.services.dumps import Announced

PATIENCE_S: Final = 60.0
_TRY_AGAIN: Final = (BackpressureError, StorageFullError, StorageUnavailableError)


def deliver(
    application: Application, sender: Principal, machines: Sequence[Sequence[Crate]], answers: Answers
) -> None:
    """Send what has no answer yet, machine after machine; blocks. What was answered is answered the same."""
    asyncio.run(_deliver(application, sender, machines, answers))


def check_kept(application: Application, machines: Sequence[Sequence[Crate]]) -> None:
    """BrokenPromiseError unless every dump is there byte for byte, and was judged once."""
    steps = application.stores.steps
    for parcel in {crate.parcel.sha256: crate.parcel for own in machines for crate in own}.values():
        with application.blobs.open(parcel.sha256) as blob:
            if blob.read(0, blob.size) != parcel.body:
                raise BrokenPromiseError(f"{parcel.plan.device}/{parcel.plan.sequence} is kept otherwise")
        said = steps.revisions(DEFAULT_TENANT, parcel.plan.device, DETECTOR, parcel.number) if steps else []
        if len(said) != 1:
            raise BrokenPromiseError(f"{parcel.plan.device}/{parcel.plan.sequence}: judged {len(said)} times")


async def _deliver(
    application: Application, sender: Principal, machines: Sequence[Sequence[Crate]], answers: Answers
) -> None:
    for own in machines:
        for crate in answers.unanswered(own):
            kept = await _until_taken(application, sender, crate.parcel)
            said = {"outcome": kept.outcome.value, "size_bytes": kept.size_bytes}
            answers.note(crate, json.dumps(said))


async def _until_taken(application: Application, sender: Principal, parcel: Parcel) -> Kept:
    deadline_s = time.monotonic() + PATIENCE_S
    while True:
        try:
            if parcel.plan.pieces:
                return await _in_pieces(application, sender, parcel)
            pieces = _pieces(parcel.body)
            return (await application.services.dumps.receive(sender, announced(parcel), pieces)).kept
        except _TRY_AGAIN as error:
            if application.runtime.failure is not None or time.monotonic() > deadline_s:
                raise BrokenPromiseError(f"{parcel.plan.device}/{parcel.plan.sequence}: {error}") from error
            await asyncio.sleep(0.02)


async def _in_pieces(application: Application, sender: Principal, parcel: Parcel) -> Kept:
    uploads, body = application.services.uploads, parcel.body
    state = await uploads.announce(sender, announced(parcel), len(body))
    size = len(body) // (parcel.plan.pieces + 1) + 1
    while state.kept is None:
        piece = body[state.offset : state.offset + size]
        state = await uploads.append(sender, announced(parcel), state.offset, _pieces(piece))
    return state.kept


def announced(parcel: Parcel) -> Announced:
    """What the machine says of it."""
    return Announced(
        device=parcel.plan.device,
        sequence=parcel.plan.sequence,
        sha256=parcel.sha256,
        application="presses",
        version="1",
        collected_from_ms=parcel.from_ms,
        collected_to_ms=parcel.to_ms,
    )


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    yield body
