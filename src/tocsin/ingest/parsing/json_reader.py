"""A strict reader of one JSON text: plain, and the definition of what is refused."""

from __future__ import annotations

import re
from typing import Final, NoReturn

from tocsin.ingest.parsing.line_code import LineCode
from tocsin.ingest.parsing.line_error import LineFault
from tocsin.model import MAX_EXACT_INTEGER

JsonValue = bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"] | None

_SPACE: Final = re.compile(r"[ \t\r\n]*")
_NUMBER: Final = re.compile(r"(-?(?:0|[1-9][0-9]*))(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]*')
_HEX4: Final = re.compile(r"[0-9A-Fa-f]{4}")
_ESCAPES: Final = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_WORDS: Final[dict[str, bool | None]] = {"null": None, "true": True, "false": False}
_NOT_FINITE: Final = ("NaN", "Infinity", "-Infinity")
_INTEGER_DIGITS: Final = 17
# what is left, where reading stops, of something that goes on behind the end of the text
_END: Final = re.compile(r"")
_OF_NUMBER: Final = re.compile(r"(\.|(\.[0-9]+)?[eE][+-]?)?")
_OF_VALUE: Final = re.compile(
    "|".join(re.escape(word[:n]) for word in ("-", *_WORDS, *_NOT_FINITE) for n in range(len(word) + 1))
)
_OF_HEX4: Final = re.compile(r"[0-9A-Fa-f]{0,3}")


def read_json(text: str, depth_max: int) -> JsonValue:
    """The value of `text`; raises LineFault where RFC 8259 or the rules of DESIGN.md are broken."""
    return _Reader(text, depth_max).whole()


def number(integer: str, fraction: str | None, exponent: str | None, field: str) -> int | float:
    """The number that these parts of a literal spell: integers exact, others the nearest float64."""
    if fraction is None and exponent is None:
        # Longer ones are out of range whatever their digits, and int() refuses thousands of digits.
        if len(integer) > _INTEGER_DIGITS or abs(int(integer)) > MAX_EXACT_INTEGER:
            raise LineFault(
                LineCode.NUMBER_OUT_OF_RANGE, f"The integer {integer[:40]} is beyond ±2^53", field
            )
        return int(integer)
    literal = f"{integer}{fraction or ''}{exponent or ''}"
    value = float(literal)
    if value in {float("inf"), float("-inf")}:
        raise LineFault(LineCode.NUMBER_NOT_FINITE, f"The number {literal[:40]} is too large", field)
    return value


class _Reader:
    """Reads from `_at` on; `_field` is the key of the outermost object that is being read."""

    def __init__(self, text: str, depth_max: int) -> None:
        self._text = text
        self._depth_max = depth_max
        self._at = 0
        self._field = ""

    def whole(self) -> JsonValue:
        value = self._value(0)
        self._skip_space()
        if self._at < len(self._text):
            self._fail("nothing more")
        return value

    def _fail(self, expected: str, begun: re.Pattern[str] = _END) -> NoReturn:
        found = self._text[self._at : self._at + 1]
        place = f"{found!r} at column {self._at + 1}" if found else "the end of the line"
        message = f"Expected {expected}, but found {place}"
        unfinished = begun.fullmatch(self._text, self._at) is not None
        raise LineFault(LineCode.INVALID_JSON, message, self._field, unfinished=unfinished)

    def _skip_space(self) -> None:
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _take(self, character: str) -> bool:
        """Step over space and `character`, if it is there."""
        self._skip_space()
        found = self._text.startswith(character, self._at)
        self._at += found
        return found

    def _value(self, depth: int) -> JsonValue:
        self._skip_space()
        start = self._text[self._at : self._at + 1]
        if start in {"{", "["}:
            if depth == self._depth_max:
                message = f"Values are nested more than {self._depth_max} levels deep"
                raise LineFault(LineCode.TOO_DEEP, message, self._field)
            self._at += 1
            return self._object(depth + 1) if start == "{" else self._array(depth + 1)
        if start == '"':
            self._at += 1
            return self._string()
        return self._word_or_number()

    def _object(self, depth: int) -> dict[str, JsonValue]:
        result: dict[str, JsonValue] = {}
        if self._take("}"):
            return result
        while True:
            key = self._key(depth)
            if key in result:
                raise LineFault(LineCode.DUPLICATE_KEY, f"The key {key[:256]!r} appears twice", self._field)
            result[key] = self._value(depth)
            if self._take("}"):
                return result
            if not self._take(","):
                self._fail('"," or "}"', _OF_NUMBER)

    def _key(self, depth: int) -> str:
        if not self._take('"'):
            self._fail("a key in quotes")
        key = self._string()
        if depth == 1:
            self._field = key
        if not self._take(":"):
            self._fail('":"')
        return key

    def _array(self, depth: int) -> list[JsonValue]:
        result: list[JsonValue] = []
        if self._take("]"):
            return result
        while True:
            result.append(self._value(depth))
            if self._take("]"):
                return result
            if not self._take(","):
                self._fail('"," or "]"', _OF_NUMBER)

    def _string(self) -> str:
        parts = []
        while True:
            match = _PLAIN.match(self._text, self._at)
            assert match is not None  # noqa: S101 - it may be empty
            parts.append(match.group())
            self._at = match.end()
            if self._text.startswith('"', self._at):
                self._at += 1
                return "".join(parts)
            if not self._text.startswith("\\", self._at):
                self._fail('a character or the closing "')
            self._at += 1
            parts.append(self._escape())

    def _escape(self) -> str:
        letter = self._text[self._at : self._at + 1]
        if letter == "u":
            self._at += 1
            return self._unicode()
        if letter not in _ESCAPES:
            self._fail("an escape")
        self._at += 1
        return _ESCAPES[letter]

    def _unicode(self) -> str:
        unit = self._code_unit()
        cut = unit < 0xDC00 and self._text[self._at :] in {"", "\\"}
        if 0xD800 <= unit < 0xDC00 and self._text.startswith("\\u", self._at):
            self._at += 2
            low = self._code_unit()
            if 0xDC00 <= low < 0xE000:
                return chr(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
        if 0xD800 <= unit < 0xE000:
            message = f"\\u{unit:04x} is half a surrogate pair"
            raise LineFault(LineCode.INVALID_UTF8, message, self._field, unfinished=cut)
        return chr(unit)

    def _code_unit(self) -> int:
        match = _HEX4.match(self._text, self._at)
        if match is None:
            self._fail("four hexadecimal digits", _OF_HEX4)
        self._at = match.end()
        return int(match.group(), 16)

    def _word_or_number(self) -> JsonValue:
        for word, value in _WORDS.items():
            if self._text.startswith(word, self._at):
                self._at += len(word)
                return value
        for word in _NOT_FINITE:
            if self._text.startswith(word, self._at):
                raise LineFault(LineCode.NUMBER_NOT_FINITE, f"{word} is not a number", self._field)
        match = _NUMBER.match(self._text, self._at)
        if match is None:
            self._fail("a value", _OF_VALUE)
        self._at = match.end()
        integer, fraction, exponent = match.groups()
        return number(integer, fraction, exponent, self._field)
