"""One request's body of log lines, of any content type, into events that are lines."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from tocsin.errors import UnsupportedMediaError
from tocsin.ingest.parsing.encoding import decoded
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.log_lines import parse_log_lines
from tocsin.ingest.parsing.otlp_logs import parse_otlp_json, parse_otlp_protobuf
from tocsin.ingest.parsing.parsed_body import ParsedBody

OTLP_PROTOBUF: Final = "application/x-protobuf"
OTLP_JSON: Final = "application/json"
LOG_CONTENT_TYPES: Final[Mapping[str, Callable[[bytes, ParseLimits], ParsedBody]]] = MappingProxyType(
    {
        "application/x-ndjson": parse_log_lines,
        "application/ndjson": parse_log_lines,
        "application/jsonl": parse_log_lines,
        OTLP_PROTOBUF: parse_otlp_protobuf,
        OTLP_JSON: parse_otlp_json,
    }
)
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def parse_log_body(
    body: bytes, *, content_type: str, content_encoding: str, limits: ParseLimits
) -> ParsedBody:
    """The lines of a body and what is wrong with its other lines; errors as parse_body has them."""
    parse = LOG_CONTENT_TYPES.get(media_type(content_type))
    if parse is None:
        raise UnsupportedMediaError(
            f"The content type {content_type[:60]!r} is not read; use one of {', '.join(LOG_CONTENT_TYPES)}.",
            field="Content-Type",
        )
    plain = decoded(body, content_encoding, limits.body_bytes)
    return parse(plain if parse is parse_otlp_protobuf else plain.removeprefix(_BYTE_ORDER_MARK), limits)


def media_type(content_type: str) -> str:
    """The type alone, in lower case."""
    return content_type.partition(";")[0].strip().lower()
