"""Targets: bodies of requests, in every content type and encoding."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Sequence
from typing import Final

import pyarrow as pa
import zstandard

from proof.fuzz.target import FoundError, Target
from tests.fuzz.mutations import LOG_SEEDS, SEEDS
from tests.parsing_kit import ARROW, CSV, JSON, arrow_stream, differences, parse
from tocsin.errors import TocsinError
from tocsin.ingest.parsing.careful import parse_ndjson_carefully
from tocsin.ingest.parsing.encoding import decoded
from tocsin.ingest.parsing.fast import parse_ndjson
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.log_lines import parse_log_lines, parse_log_lines_carefully
from tocsin.ingest.parsing.parsed_body import ParsedBody

_Reader = Callable[[bytes, ParseLimits], ParsedBody]

_LIMITS: Final = (
    ParseLimits(),
    ParseLimits(lines=3),
    ParseLimits(line_bytes=90, depth=2, name_characters=7),
)
_UNPACKED_MAX: Final = 1 << 16
_CSV: Final = (
    b"device,ts,x,note\npump-7,2026-11-22T10:00:00Z,1.5,on\n",
    b'ts,device,"a ""b"""\n1,d,\n2,"d,e",1e999\n',
    b"device,ts\r\nd,1\r\nd,2,3\r\n",
)
_TABLES: Final = (
    pa.table({"device": ["a", "b"], "ts": [1, 2], "x": [1.5, None], "s": ["on", None]}),
    pa.table({"device": pa.array(["a"]).dictionary_encode(), "ts": pa.array([1], pa.timestamp("us", "UTC"))}),
)


def _in_two_ways(name: str, careful: _Reader, fast: _Reader, seeds: Sequence[bytes]) -> Target:
    """The first byte chooses the limits; the fast reader must answer as the careful one."""

    def run(data: bytes) -> None:
        limits, body = _LIMITS[data[0] % len(_LIMITS)] if data else _LIMITS[0], data[1:]
        expected, given = _answer(careful, body, limits), _answer(fast, body, limits)
        if isinstance(expected, str) or isinstance(given, str):
            if expected != given:
                raise FoundError(f"careful: {expected}, fast: {given}")
        elif found := differences(expected, given):
            raise FoundError(f"careful and fast differ in {', '.join(found)}")

    return Target(name=name, run=run, seeds=[b"\0" + seed for seed in seeds], bytes_max=1024)


def _answer(reader: _Reader, body: bytes, limits: ParseLimits) -> ParsedBody | str:
    try:
        return reader(body, limits)
    except TocsinError as error:
        return f"{error.code}: {error.detail}"


def _in_type(content_type: str) -> Target:
    def run(data: bytes) -> None:
        try:
            parsed = parse(data, content_type)
        except TocsinError:
            return
        if parsed.received != len(parsed.batch) + len(parsed.errors):
            raise FoundError("received is not accepted + rejected")

    seeds = {
        JSON: [b"[" + b",".join(seed.splitlines()) + b"]" for seed in SEEDS],
        CSV: list(_CSV),
        ARROW: [arrow_stream(table) for table in _TABLES],
    }
    names = {JSON: "json_array", CSV: "csv", ARROW: "arrow_stream"}
    return Target(name=names[content_type], run=run, seeds=seeds[content_type], bytes_max=2048)


def _encoding(data: bytes) -> None:
    """Whatever was packed, no more than the limit comes out."""
    name = ("gzip", "zstd", "identity")[data[0] % 3] if data else "gzip"
    try:
        plain = decoded(data[1:], name, _UNPACKED_MAX)
    except TocsinError:
        return
    if len(plain) > _UNPACKED_MAX:
        raise FoundError(f"{len(plain)} bytes were unpacked")


def _packed() -> list[bytes]:
    text, bomb = SEEDS[0] * 3, bytes(1 << 20)
    members = gzip.compress(text) + gzip.compress(text)
    stream = io.BytesIO()
    with zstandard.ZstdCompressor(level=3).stream_writer(stream, closefd=False) as writer:
        writer.write(text)
    return [
        b"\0" + gzip.compress(text),
        b"\0" + members,
        b"\0" + gzip.compress(bomb),
        b"\1" + zstandard.compress(text),
        b"\1" + stream.getvalue(),
        b"\1" + zstandard.compress(bomb),
    ]


TARGETS: Final = (
    _in_two_ways("ndjson", parse_ndjson_carefully, parse_ndjson, SEEDS),
    _in_two_ways("log_bodies", parse_log_lines_carefully, parse_log_lines, LOG_SEEDS),
    _in_type(JSON),
    _in_type(CSV),
    _in_type(ARROW),
    Target(name="encoding", run=_encoding, seeds=_packed()),
)
