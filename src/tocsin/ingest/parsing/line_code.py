"""Every code that a line can be answered with: what it means and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class LineCode(StrEnum):
    """Stable names; a client may branch on them."""

    INVALID_UTF8 = "invalid_utf8"
    INVALID_JSON = "invalid_json"
    INVALID_CSV = "invalid_csv"
    TRUNCATED_LINE = "truncated_line"
    LINE_TOO_LONG = "line_too_long"
    TOO_DEEP = "too_deep"
    NOT_AN_OBJECT = "not_an_object"
    DUPLICATE_KEY = "duplicate_key"
    EMPTY_NAME = "empty_name"
    NAME_TOO_LONG = "name_too_long"
    MISSING_FIELD = "missing_field"
    INVALID_TYPE = "invalid_type"
    INVALID_TIMESTAMP = "invalid_timestamp"
    NUMBER_NOT_FINITE = "number_not_finite"
    NUMBER_OUT_OF_RANGE = "number_out_of_range"
    SCHEMA_MISMATCH = "schema_mismatch"
    CARDINALITY_LIMIT = "cardinality_limit"
    CLOCK_SKEW = "clock_skew"
    SECONDS_SENT = "seconds_sent"


@dataclass(frozen=True, slots=True)
class CodeInfo:
    """What a code means and what the sender should do; `refused` is False for a mere warning."""

    meaning: str
    remedy: str
    refused: bool = True


LINE_CODES: Final[Mapping[LineCode, CodeInfo]] = MappingProxyType(
    {
        LineCode.INVALID_UTF8: CodeInfo(
            "The line is not UTF-8, or an escape names half a surrogate pair.",
            "Encode text as UTF-8 and escape characters beyond U+FFFF as two \\u escapes.",
        ),
        LineCode.INVALID_JSON: CodeInfo(
            "The line is not one JSON value.",
            "Send one JSON object a line, without comments, trailing commas or single quotes.",
        ),
        LineCode.INVALID_CSV: CodeInfo(
            "The row has more cells than the header has names.",
            "Quote cells that hold commas, quotes or line ends.",
        ),
        LineCode.TRUNCATED_LINE: CodeInfo(
            "The last line ends before its JSON does; it was probably cut off on the way. What is wrong "
            "before its end is `invalid_json`.",
            "Send this line again, whole; the lines before it need not be sent again.",
        ),
        LineCode.LINE_TOO_LONG: CodeInfo(
            "The line is longer than a record may be.", "Split the event, or send long texts as a log dump."
        ),
        LineCode.TOO_DEEP: CodeInfo(
            "Objects or arrays are nested too deeply.", "Flatten the value, or send it as a string."
        ),
        LineCode.NOT_AN_OBJECT: CodeInfo(
            "The line is JSON, but not an object.",
            'Send an object such as {"device":"pump-7","ts":"2026-11-22T10:00:00Z","temperature":20.1}.',
        ),
        LineCode.DUPLICATE_KEY: CodeInfo(
            "A key appears twice in one object, so that its value is ambiguous.", "Send each key once."
        ),
        LineCode.EMPTY_NAME: CodeInfo("A field has the empty name.", "Give the field a name."),
        LineCode.NAME_TOO_LONG: CodeInfo(
            "The device or another name has too many characters.", "Use names of at most 256 characters."
        ),
        LineCode.MISSING_FIELD: CodeInfo(
            "`device` or `ts` is absent, null or empty.", "Send `device` and `ts` with every event."
        ),
        LineCode.INVALID_TYPE: CodeInfo(
            "`device`, `application`, `version` or `id` is not a string.", "Put its value into quotes."
        ),
        LineCode.INVALID_TIMESTAMP: CodeInfo(
            "`ts` is neither RFC 3339 nor whole milliseconds since 1970, or outside the years 1 to 9999.",
            "Send a time such as 2026-11-22T10:00:00Z (with Z or an offset), or 1795341600000.",
        ),
        LineCode.NUMBER_NOT_FINITE: CodeInfo(
            "A number is NaN, infinite or too large for a float64.",
            "Leave the field out, or send null, when there is no value.",
        ),
        LineCode.NUMBER_OUT_OF_RANGE: CodeInfo(
            "An integer is beyond ±2^53, where float64 would round it.",
            "Send it as a string if it is an identifier, or with a decimal point if rounding is fine.",
        ),
        LineCode.SCHEMA_MISMATCH: CodeInfo(
            "A field that this device first sent as a number came as text, or the other way round.",
            "Send the value under another name, or in its first type.",
        ),
        LineCode.CARDINALITY_LIMIT: CodeInfo(
            "The tenant has as many devices, or the device as many fields, as it may; known ones go on.",
            "Check for names made from ids or times; ask an operator to raise the limit if they are real.",
        ),
        LineCode.CLOCK_SKEW: CodeInfo(
            "The event is stamped in the future. It was accepted and is kept raw, but not scored.",
            "Correct the device's clock.",
            refused=False,
        ),
        LineCode.SECONDS_SENT: CodeInfo(
            "The event is stamped in the first weeks of 1970. Taken as seconds, its stamp would be of this "
            "century.",
            "Send milliseconds since 1970, or RFC 3339.",
            refused=False,
        ),
    }
)
