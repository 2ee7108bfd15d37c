"""One request's body, of any content type, into events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from tocsin.errors import UnsupportedMediaError
from tocsin.ingest.parsing.arrow_stream import parse_arrow
from tocsin.ingest.parsing.csv_rows import parse_csv
from tocsin.ingest.parsing.encoding import decoded
from tocsin.ingest.parsing.fast import parse_ndjson
from tocsin.ingest.parsing.json_array import parse_json
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.parsed_body import ParsedBody

CONTENT_TYPES: Final[Mapping[str, Callable[[bytes, ParseLimits], ParsedBody]]] = MappingProxyType(
    {
        "application/x-ndjson": parse_ndjson,
        "application/ndjson": parse_ndjson,
        "application/jsonl": parse_ndjson,
        "application/json": parse_json,
        "text/csv": parse_csv,
        "application/vnd.apache.arrow.stream": parse_arrow,
    }
)
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


def parse_body(body: bytes, *, content_type: str, content_encoding: str, limits: ParseLimits) -> ParsedBody:
    """The events of a body and what is wrong with its other lines.

    Thread-safe; releases the GIL while lines are scanned. Raises UnsupportedMediaError (415),
    TooLargeError (413) or InvalidInputError (400) when the body as a whole cannot be read.
    """
    parse = CONTENT_TYPES.get(content_type.partition(";")[0].strip().lower())
    if parse is None:
        raise UnsupportedMediaError(
            f"The content type {content_type[:60]!r} is not read; use one of {', '.join(CONTENT_TYPES)}.",
            field="Content-Type",
        )
    return parse(decoded(body, content_encoding, limits.body_bytes).removeprefix(_BYTE_ORDER_MARK), limits)
