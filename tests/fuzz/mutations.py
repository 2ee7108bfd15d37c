"""Bodies of NDJSON that are nearly right: seeds made in code, and ways to damage them."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final

SEEDS: Final[Sequence[bytes]] = (
    b'{"device":"pump-0123","ts":"2026-11-22T10:00:00Z","temperature":20.13,"humidity":51.02,"noise":40.4}\n',
    b'{"device":"pump-7","ts":"2024-02-29T23:59:59.999999+05:30","t":-0.0,"u":1e22,"v":12345678901234567.0}\n',
    b'{"device":"p","ts":1700000000123,"application":"hvac","version":"1.2","id":"abc","x":9007199254740992}\n',
    b'{ "device" : "G\xc3\xa4" ,\t"ts":"1969-12-31 23:59:59.9z", "s":"on", "mode":"\\"\\n", "ok":true}\r\n',
    b'{"device":"d","ts":0,"a":null,"b":false,"c":[1,2.50,{"d":"\\u00e9\\ud83d\\ude00"}],"e":{}}\n',
    b'{"device":"d","ts":-1,"x":0.000001,"y":123456789.123456789,"z":5e-324,"w":1E+5}\n{"device":"d","ts":1}\n',
    b'{"device":"\\u0070","ts":"0001-01-01T00:00:00-00:00","\\u0061":1}\n\n \t\n{"device":"e","ts":2}\n',
    b'{"device":"d","ts":"9999-12-31T23:59:59.999Z","x":1.7976931348623157e308,"y":2.2250738585072014e-308}',
)

LOG_SEEDS: Final[Sequence[bytes]] = (
    b'{"device":"press-3","component":"door","time":1767592800000,"level":"INFO","text":"closed"}\n',
    b'{"device":"d","time":"2026-01-05T06:00:00.25Z","component":"c","text":"\\u001b[31m\\"a\\"\\n at b"}\n',
    b'{ "text" : "T\xc3\xbcr \\\\ zu" ,\t"device":"d", "time":0, "component":"a/b", "level":"" }\r\n',
    b'{"application":"press","version":"1","device":"d","time":-1,"component":"c","text":""}\n\n \t\n',
    b'{"device":"d","time":1,"component":"c","text":"\\u000a\\u0041\\/","rack":7,"more":{"a":[1.50]}}\n',
    b'{"device":"d","time":1,"component":"c","text":"a","level":null}\n{"time":1}\n',
)

TOKENS: Final[Sequence[bytes]] = (
    *(b'"', b"\\", b"{", b"}", b"[", b"]", b",", b":", b"\n", b"\r", b" ", b"\t", b"\0", b"\x1f", b"\x7f"),
    *(
        b"null",
        b"true",
        b"false",
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"nul",
        b"truee",
        b"-",
        b"+",
        b".",
        b"e",
    ),
    *(b"0", b"00", b"-0", b"1e999", b"1e-999", b"1e22", b"1e23", b"9007199254740993", b"-9007199254740992"),
    *(
        b"0.1",
        b"123456789012345678",
        b"1234567890123456789",
        b"12345678901234567890.5",
        b"1.e5",
        b".5",
        b"1e",
    ),
    *(b"4.35", b"2.2250738585072011e-308", b"179769313486231580793e289", b"8.5e-22", b"9007199254740993.0"),
    *(
        b"\\u0000",
        b"\\ud800",
        b"\\udc00",
        b"\\ud83d\\ude00",
        b"\\/",
        b"\\x",
        b"\\u12",
        b"\\n",
        b"\\\\",
        b'\\"',
    ),
    *(
        b"\xff",
        b"\xc3\xa9",
        b"\xc0\x80",
        b"\xed\xa0\x80",
        b"\xf0\x9f\x98\x80",
        b"\xf4\x90\x80\x80",
        b"\xe2\x82",
    ),
    *(
        b'"device"',
        b'"ts"',
        b'"id"',
        b'"application"',
        b'"version"',
        b'"x":1,',
        b',"x":2',
        b',"x":"t"',
        b'"":1,',
        b'"time"',
        b'"component"',
        b'"text"',
        b'"level"',
        b"\\u001b",
        b"\\u000a",
        b"\\u001F",
    ),
    *(
        b"2026-02-29",
        b"2100-02-29",
        b"T24:00:00Z",
        b":60Z",
        b"+24:00",
        b"-00:00",
        b".Z",
        b"0000-01-01T00:00:00Z",
    ),
    *(b"[" * 31, b"[" * 32, b"]" * 31, b'{"a":' * 31, b"x" * 8, b"n" * 257, b"\xc3\xa9" * 200),
)


def mutated(rng: random.Random, seeds: Sequence[bytes] = SEEDS) -> bytes:
    """A body made of a few seeds, damaged in a few places (sometimes in none)."""
    body = b"".join(rng.choice(seeds) for _ in range(rng.choice((1, 1, 1, 2, 3, 8))))
    for _ in range(rng.choice((0, 1, 1, 1, 2, 3, 6))):
        body = rng.choice(_MUTATIONS)(rng, body)
    return body


def _insert(rng: random.Random, body: bytes) -> bytes:
    at = rng.randint(0, len(body))
    return body[:at] + rng.choice(TOKENS) + body[at:]


def _overwrite(rng: random.Random, body: bytes) -> bytes:
    token = rng.choice(TOKENS)
    at = rng.randint(0, len(body))
    return body[:at] + token + body[at + len(token) :]


def _replace_value(rng: random.Random, body: bytes) -> bytes:
    """Put a token where a value stands, up to the next comma or bracket."""
    colons = [i for i, byte in enumerate(body) if byte == 0x3A]
    if not colons:
        return body
    start = rng.choice(colons) + 1
    end = next((i for i in range(start, len(body)) if body[i] in b",}\n"), len(body))
    return body[:start] + rng.choice(TOKENS) + body[end:]


def _replace_byte(rng: random.Random, body: bytes) -> bytes:
    at = rng.randrange(len(body) or 1)
    return body[:at] + bytes([rng.randrange(256)]) + body[at + 1 :]


def _flip_bit(rng: random.Random, body: bytes) -> bytes:
    at = rng.randrange(len(body) or 1)
    return body[:at] + bytes(byte ^ 1 << rng.randrange(8) for byte in body[at : at + 1]) + body[at + 1 :]


def _delete(rng: random.Random, body: bytes) -> bytes:
    at = rng.randint(0, len(body))
    return body[:at] + body[at + rng.choice((1, 1, 2, 5, 20)) :]


def _repeat(rng: random.Random, body: bytes) -> bytes:
    start = rng.randint(0, len(body))
    end = min(len(body), start + rng.choice((1, 3, 10, 40)))
    return body[:end] + body[start:end] * rng.choice((1, 2)) + body[end:]


def _cut(rng: random.Random, body: bytes) -> bytes:
    return body[: rng.randint(0, len(body))]


def _new_number(rng: random.Random, body: bytes) -> bytes:
    """Put a random number after a colon."""
    digits = "".join(rng.choice("0123456789") for _ in range(rng.randint(1, 22)))
    number = rng.choice(("", "-")) + digits
    if rng.random() < 0.6:
        number += "." + "".join(rng.choice("0123456789") for _ in range(rng.randint(0, 25)))
    if rng.random() < 0.3:
        number += rng.choice("eE") + rng.choice(("", "+", "-")) + str(rng.randint(0, 330))
    at = body.rfind(b":", 0, rng.randint(0, len(body)) + 1) + 1
    return body[:at] + number.encode() + b',"more":' + body[at:]


_MUTATIONS: Final[Sequence[Callable[[random.Random, bytes], bytes]]] = (
    *(_insert, _overwrite, _replace_value, _replace_value, _replace_byte, _flip_bit),
    *(_delete, _repeat, _cut, _new_number),
)
