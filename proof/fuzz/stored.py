"""Targets: what stores give back. Altered bytes are refused as corrupt, never taken for something else."""

from __future__ import annotations

from typing import Final

import msgspec

from proof.fuzz.target import FoundError, Target
from tests.kit import events_of, fleet
from tocsin.control import (
    Correct,
    DumpOutcome,
    DumpReceived,
    GapGivenUp,
    Quarantine,
    Settings,
    SettingsChanged,
    Tick,
    decode_control,
    encode_control,
)
from tocsin.errors import TocsinError
from tocsin.ingest.catalogue_entries import Entries, decode_entries, encode_entries
from tocsin.payloads import decode_events, encode_events

_EVENTS: Final = [
    encode_events(events_of(fleet(1, devices=1, steps=steps, faults=False))) for steps in (31, 40)
]
_CONTROLS: Final = [
    encode_control(control)
    for control in (
        SettingsChanged(tenant="t", effective_ms=0, settings=Settings()),
        Tick(now_ms=60_000),
        Correct(tenant="t", devices=("a", "b")),
        Quarantine(tenant="t", devices=("a",), reason="why"),
        DumpReceived(
            tenant="t", device="a", sequence=1, sha256="0" * 64, size_bytes=9, outcome=DumpOutcome.ACCEPTED
        ),
        GapGivenUp(tenant="t", device="a", epoch=0, from_sequence=2, to_sequence=3),
    )
]
_ENTRIES: Final = [
    encode_entries(Entries(tenant="t", devices=("a",), fields=('"x"',), words=(1).to_bytes(8, "little")))
]


def _events(data: bytes) -> None:
    """A batch that passes its checksum must be the one that was written."""
    try:
        batch = decode_events(data)
    except TocsinError:
        return
    if encode_events(batch) != data:
        raise FoundError("bytes that nobody wrote were read as a batch")


def _control(data: bytes) -> None:
    """A decision that is read writes itself in a way that is read again as the same."""
    try:
        control = decode_control(data)
    except TocsinError:
        return
    if decode_control(encode_control(control)) != control:
        raise FoundError("a decision is not what it writes")


def _catalogue(data: bytes) -> None:
    try:
        entries = decode_entries(data)
        entries.table()
    except (msgspec.MsgspecError, ValueError):
        return
    if decode_entries(encode_entries(entries)) != entries:
        raise FoundError("entries are not what they write")


TARGETS: Final = (
    Target(name="log_events", run=_events, seeds=_EVENTS),
    Target(name="log_control", run=_control, seeds=_CONTROLS),
    Target(name="catalogue", run=_catalogue, seeds=_ENTRIES),
)
