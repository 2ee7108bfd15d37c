"""Targets: what people and programs put into addresses, and configuration files."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Final

from proof.fuzz.target import FoundError, Target
from tocsin.api.cursor import decode_number, decode_text, encode_cursor
from tocsin.api.names import iso
from tocsin.clock import parse_time
from tocsin.config import load_config
from tocsin.errors import TocsinError
from tocsin.services.addresses import protected_path, restored

_CONFIG: Final = Path(tempfile.gettempdir()) / f"tocsin-fuzz-{os.getpid()}.yaml"


def _cursor(data: bytes) -> None:
    """A cursor that is taken is the one that this list would make."""
    text = data.decode(errors="replace")
    for decode in (decode_number, decode_text):
        try:
            value = decode("anomalies", text)
        except TocsinError:
            continue
        if encode_cursor("anomalies", value) != text:
            raise FoundError("a cursor that nobody made was taken")


def _time(data: bytes) -> None:
    """A time that is understood can be said again and understood as the same."""
    try:
        moment_ms = parse_time(data.decode(errors="replace"), "from")
    except TocsinError:
        return
    if parse_time(str(moment_ms), "from") != moment_ms:
        raise FoundError("a time changes when it is said again")
    iso(moment_ms)


def _path(data: bytes) -> None:
    """Any raw path gives a text, and no name brings a slash with it before it is restored."""
    try:
        for segment in protected_path(data).split("/"):
            restored(segment)
    except TocsinError:
        return


def _config(data: bytes) -> None:
    """A file is a configuration, or every mistake in it is told."""
    _CONFIG.write_bytes(data)
    try:
        load_config(_CONFIG)
    except TocsinError as error:
        if not error.detail.strip():
            raise FoundError("a mistake without a word") from error


_CURSORS: Final = [encode_cursor("anomalies", value).encode() for value in (0, -1, 1 << 62, "", "Grüße")]
_TIMES: Final = [b"2026-11-22T10:00:00.250Z", b"-5", b"999999999999999", b"0001-01-01T00:00:00+14:00"]
_PATHS: Final = [b"/v1/devices/a%2Fb%25/series", b"/%ff/%", b"/v1/devices/%E2%80%AE"]
_CONFIGS: Final = [
    b"http:\n  port: 8080\n  tls_cert: a.pem\n",
    b"watch:\n  parameters:\n    t: {lower: -40, upper: 85, unit: C}\n  policy: {open_after_s: 300}\n",
    b"log: {partitions: 4}\nlake: &a {flush_s: 5}\nprocessing: *a\n",
]

TARGETS: Final = (
    Target(name="cursor", run=_cursor, seeds=_CURSORS, bytes_max=2200),
    Target(name="time", run=_time, seeds=_TIMES, bytes_max=64),
    Target(name="path", run=_path, seeds=_PATHS, bytes_max=256),
    Target(name="configuration", run=_config, seeds=_CONFIGS, bytes_max=1024),
)
