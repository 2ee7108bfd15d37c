"""Dumps in a folder, as steps need them: those that `tocsin upload` would send, with what it would say."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from tocsin.client import DumpFile, find_dumps, told_of
from tocsin.clock import parse_time
from tocsin.dump_detectors.steps import DumpFacts
from tocsin.errors import InvalidInputError


def folder_dumps(folder: Path, devices: Sequence[str] = ()) -> dict[str, list[DumpFile]]:
    """The dumps of each device in order, of all devices or of those named.

    A folder that holds SEQUENCE.zip itself is one device's, which has to be named.
    """
    flat = any(folder.glob("*.zip"))
    if flat and len(devices) != 1:
        raise InvalidInputError(
            f"{folder} holds dumps itself: name the device they are from with --device", field="device"
        )
    found: dict[str, list[DumpFile]] = {}
    for dump in find_dumps(folder, devices[0] if flat else ""):
        if not devices or dump.device in devices:
            found.setdefault(dump.device, []).append(dump)
    if missing := [device for device in devices if device not in found]:
        raise InvalidInputError(f"{folder} has no dumps of {missing[0]!r}", field="device")
    return found


def facts_of(dump: DumpFile) -> DumpFacts:
    """What a server would know of it. Reads the whole file once, for its hash; OSError if it can't.

    InvalidInputError if the file beside it says something wrongly.
    """
    with dump.path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    told = told_of(dump.path)
    return DumpFacts(
        epoch=dump.epoch,
        sequence=dump.sequence,
        sha256=sha256,
        collected_from_ms=_ms(told.collected_from, "collected_from", dump),
        collected_to_ms=_ms(told.collected_to, "collected_to", dump),
        application=told.application,
        version=told.version,
    )


def in_rounds(dumps: Mapping[str, Sequence[DumpFile]]) -> Iterator[list[DumpFile]]:
    """The next dump of every device, again and again: an order that does not depend on any clock."""
    for row in zip_longest(*dumps.values()):
        yield [dump for dump in row if dump is not None]


def _ms(text: str, key: str, dump: DumpFile) -> int | None:
    try:
        return parse_time(text, key) if text else None
    except InvalidInputError as error:
        raise InvalidInputError(f"{key} beside {dump.path}: {error.detail}", field="folder") from error
