"""The message of a line to its masked text, plainly: what the compiled form must equal byte for byte."""

from __future__ import annotations

import re
from typing import Final

from tocsin.templates._bytes import CUTTING, DELIMITERS, REPEATED
from tocsin.templates._message_kernel import MESSAGE_BYTES_MAX, QUOTED_BYTES_MAX, TOKENS_MAX

_SPACES: Final = b" \t\r\n"
_DATA: Final = bytes([*range(9), 11, 12, *range(14, 32), 127]) + b"0123456789"
_LETTER: Final = re.compile(rb"[A-Za-z\x80-\xff]")
_HEX: Final = re.compile(rb"[0-9a-fA-F]{8,}")
_CHAIN: Final = re.compile(rb"[0-9a-fA-F]{1,4}(?::[0-9a-fA-F]{0,4}){2,}(?![0-9a-fA-F:])")
_TRUTHS: Final = {b"true", b"True", b"TRUE", b"false", b"False", b"FALSE", b"null", b"NULL", b"None"}
_MONTH: Final = rb"(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_DATE: Final = re.compile(rb"%s +[0-9]|(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) +%s" % (_MONTH, _MONTH))
_VERB: Final = re.compile(rb"([A-Z]{3,}) (?=.)", re.DOTALL)
_VALUE_ENDS: Final = _SPACES + b",;)]}\"'|>="


def masked(message: bytes) -> tuple[bytes, list[bytes]]:
    """The masked text of a message and its words, varying or not."""
    known, rest = message[:MESSAGE_BYTES_MAX], message[MESSAGE_BYTES_MAX:]
    tokens: list[tuple[int, bytes]] = []
    places: list[tuple[int, int]] = []
    at, spaced, opens, before = 0, False, False, b""
    joint = False
    while at < len(known) and len(places) < TOKENS_MAX - 2:
        if known[at] in _SPACES:
            at, spaced = at + 1, True
            continue
        opened, opens = opens and not spaced, spaced and known[at : at + 1] == b"("
        end, what = _token(known, at, before == b"=")
        text = known[at:end]
        if what == "quoted":
            tokens.append((3 + spaced, b'"'))
            verb = _VERB.match(known, at + 1, end)
            if verb:
                tokens.append((1, verb[1]))
                places.append(verb.span(1))
            tokens += [(1 + bool(verb), b"\0"), (3, b'"')]
            places.append((verb.end() if verb else at + 1, end))
            end, before, joint = end + 1, b'"', False
        elif what == "varies" and joint and not spaced:
            tokens.pop()
            places[-1] = (places[-1][0], end)
            before, joint = b"\0", False
        elif what in {"varies", "word"}:
            before = b"\0" if what == "varies" else text
            tokens.append((1 + spaced, before))
            places.append((at, end))
            joint = False
        else:
            if text == b")" and opened:
                tokens.append((1, b"\0"))
                places.append((at, at))
            joint = before == b"\0" and not spaced and text in {b":", b",", b"##"}
            tokens.append((3 + spaced, text))
            before = text
        at, spaced = end, False
    if at < len(known) or rest:
        tokens.append((2, b"\0"))
        places.append((at, len(message)))
    return b"".join(bytes([mark]) + text for mark, text in tokens), [message[a:b] for a, b in places]


def _token(message: bytes, at: int, valued: bool) -> tuple[int, str]:
    first = message[at : at + 1]
    if first == b'"':
        close = message.find(b'"', at + 1, at + QUOTED_BYTES_MAX)
        if close > at + 1:
            return close, "quoted"
    if first in REPEATED and message[at + 1 : at + 2] == first:
        return at + len(message[at:]) - len(message[at:].lstrip(first)), "between"
    if first in DELIMITERS:
        return at + 1, "between"
    chain = _CHAIN.match(message, at)
    if chain and (chain.end() == len(message) or message[chain.end()] in _SPACES + DELIMITERS):
        return chain.end(), "varies"
    if valued:
        end = _value(message, at)
        if end > at and message[end : end + 1] != b"=":
            return end, "varies"
    return _word(message, at)


def _value(message: bytes, at: int) -> int:
    while at < len(message) and message[at] not in _VALUE_ENDS:
        if message[at] in b"([{":
            depth, close = 0, at
            for close in range(at, min(len(message), at + QUOTED_BYTES_MAX)):
                depth += (message[close] in b"([{") - (message[close] in b")]}")
                if message[close] in _SPACES or depth == 0:
                    break
            if depth or message[close] in _SPACES:
                return at
            at = close
        at += 1
    return at


def _word(message: bytes, at: int) -> tuple[int, str]:
    end = at
    while end < len(message) and message[end] not in _SPACES + DELIMITERS:
        if end > at and message[end] in CUTTING and message[end : end + 1] == message[end + 1 : end + 2]:
            break
        end += 1
    if end > at + 1 and message[end - 1 : end] == b".":
        end -= 1
    word = message[at:end]
    slashes = word.count(b"/") + word.count(b"\\")
    if any(byte in _DATA for byte in word) or (len(word) > 1 and (slashes > 1 or word[0] in b"/\\")):
        return end, "varies"
    if not _LETTER.search(word):
        return end, "between"
    dated = len(word) == 3 and _DATE.match(message, at)
    placed = b"." in word[1:] and re.match(rb":[0-9]", message[end : end + 2])
    return end, "varies" if word in _TRUTHS or _HEX.fullmatch(word) or dated or placed else "word"
