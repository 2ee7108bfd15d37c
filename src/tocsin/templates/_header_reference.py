"""The head of a line, plainly: what the compiled form must equal for any bytes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from tocsin.templates._header_kernel import (
    BRACKET_BYTES_MAX,
    COMPONENT_BYTES_MAX,
    HEAD,
    LEVEL_BYTES_MAX,
    LEVEL_NAMES,
    MARK_BYTES_MAX,
    NO_HEAD,
    PREAMBLE_MAX,
    STRUCTURED,
)
from tocsin.templates._stamp_kernel import OF_DAY, YEARLESS
from tocsin.templates._stamp_reference import Stamp, stamp_at

SPACES: Final = b" \t\r\n"
LETTERS: Final = dict(zip(b"VDINWEF", range(1, 8), strict=True))
OF_SYSLOG: Final = (7, 7, 7, 6, 5, 4, 3, 2)
_WORD: Final = re.compile(rb"[^ \t\r\n]*")
_SPACES: Final = re.compile(rb"[ \t\r\n]*")
_PRIORITY: Final = re.compile(rb"<([0-9]{1,3})>")
_NUMBERED: Final = re.compile(rb"<[0-9]{1,3}>1 ([^ \t\r\n]+)" + rb"[ \t\r\n]([^ \t\r\n]+)" * 4)
_PLACE: Final = re.compile(rb"[ \t\r\n]*[0-9]{0,20}[ \t\r\n]*([^ \t\r\n:]*):[0-9]{0,9}\](?![^ \t\r\n])")
_SLASHED: Final = re.compile(rb"[VDINWEF]/([^(:\n]+)(?::|\([ \t\r\n]*[0-9]{0,10}\):)")
_STOPS: Final = re.compile(rb"[a-z\x80-\xff\[\]()=,]")
_CAPITAL: Final = re.compile(rb"[A-Z]")
_LETTER: Final = re.compile(rb"[A-Za-z\x80-\xff]")
_NAME: Final = re.compile(rb"[A-Za-z\x80-\xff0-9._$]+")


@dataclass
class Head:
    """What a head says; places are in the line."""

    kind: int = NO_HEAD
    stamp: Stamp | None = None
    level: int = 0
    component: tuple[int, int] = (0, 0)
    message: int = 0

    @property
    def named(self) -> bool:
        """Whether there is a component."""
        return self.component[1] > self.component[0]


def head_of(line: bytes) -> Head:
    """The head of a line as it is recognised."""
    if not line or line[0] in SPACES + b"{":
        return Head()
    head = Head()
    numbered = _numbered(line, head)
    if numbered:
        head.kind, head.message = STRUCTURED, _skip(line, numbered)
        return head
    found = _first_stamp(line, head)
    if found is None:
        return Head(level=_level_without_stamp(line))
    stamp, at = found
    head.kind, head.stamp = HEAD, stamp
    place = _PLACE.match(line, at) if stamp.letter else None
    if stamp.letter:
        head.level = LETTERS[stamp.letter[0]]
    if place:
        head.component, at = place.span(1), place.end()
    elif line[at : at + 1] in (b"|", b";", b"\t"):
        at = _fields(line, at, head)
    else:
        at = _atoms(line, at, head, line[0] == 60 or (stamp.worded and stamp.kind == YEARLESS))
    head.message = _skip(line, at)
    return head


def level_word(word: bytes) -> int:
    """The level that a word of any case names; 0 = none."""
    if not 3 <= len(word) <= LEVEL_BYTES_MAX:
        return 0
    level = LEVEL_NAMES.get(word[:8].lower().decode("latin-1"), 0)
    return level if len(word) <= 8 or word[:8].lower() in (b"informat", b"emergenc") else 0


def bare_level(word: bytes) -> int:
    """The level that a word in capitals, or one letter, names; a colon may end it."""
    word = word[:-1] if len(word) > 1 and word.endswith(b":") else word
    if len(word) == 1:
        return LETTERS.get(word[0], 0)
    return level_word(word) if re.fullmatch(rb"[A-Z]*", word) else 0


def _end(line: bytes, at: int) -> int:
    """Where the word at a place ends."""
    found = _WORD.match(line, at)
    return found.end() if found else at


def _skip(line: bytes, at: int) -> int:
    """Behind spaces."""
    found = _SPACES.match(line, at)
    return found.end() if found else at


def _priority(line: bytes) -> tuple[int, int]:
    found = _PRIORITY.match(line)
    return (OF_SYSLOG[int(found[1]) & 7], found.end()) if found else (0, 0)


def _numbered(line: bytes, head: Head) -> int:
    found = _NUMBERED.match(line)
    if not found:
        return 0
    if found[1] != b"-":
        head.stamp = stamp_at(line[: found.end(1)], found.start(1), False)
        if head.stamp is None or head.stamp.until != found.end(1):
            head.stamp = None
            return 0
    head.level = _priority(line)[0]
    head.component = (0, 0) if found[3] == b"-" else found.span(3)
    return found.end()


def _first_stamp(line: bytes, head: Head) -> tuple[Stamp, int] | None:
    head.level, at = _priority(line)
    for _ in range(PREAMBLE_MAX):
        at = _skip(line, at)
        if at >= len(line):
            return None
        opened = line[at] in b"[("
        stamp = stamp_at(line, at + opened, False)
        if stamp:
            closed = opened and line[stamp.until : stamp.until + 1] in (b"]", b")")
            return stamp, stamp.until + closed
        until = _end(line, at)
        if until - at > COMPONENT_BYTES_MAX:
            return None
        head.level = bare_level(line[at:until]) or head.level
        at = until
    return None


def _level_without_stamp(line: bytes) -> int:
    word = line[: _end(line, 0)]
    return _priority(line)[0] if line[0] == 60 else bare_level(word) if len(word) > 2 else 0


def _fields(line: bytes, at: int, head: Head) -> int:
    mark = line[at : at + 1]
    for _ in range(6):
        at += 1
        until = re.compile(rb"[^ %s]*" % re.escape(mark)).match(line, at).end()  # type: ignore[union-attr]
        if line[until : until + 1] != mark:
            return at
        level = bare_level(line[at:until])
        if level:
            head.level = level
        elif not head.named and _LETTER.match(line[at:until]):
            head.component = (at, until)
        at = until
    return at + 1


def _atoms(line: bytes, at: int, head: Head, syslog: bool) -> int:
    bracketed = False
    for _ in range(12):
        at = _skip(line, at)
        if at >= len(line):
            break
        levelled, named = head.level != 0, head.named
        if line[at] in b"-:," and (at + 1 == len(line) or line[at + 1] in SPACES):
            at += 1
            if line[at - 1] == 45 and (levelled or named):
                break
            continue
        if line[at] == 91:
            until = _bracket(line, at, head, bracketed)
            bracketed = bracketed or levelled == (head.level != 0)
        elif named:
            break
        else:
            later = 0 if levelled or syslog else _later_stamp(line, at, head)
            if later and head.stamp:
                syslog = head.stamp.worded and head.stamp.kind != OF_DAY
            until = later or (0 if levelled else _level_ahead(line, at, head) or _slashed(line, at, head))
            until = until or _component(line, at, head, levelled, syslog)
        if not until:
            break
        at = until
        if line[at - 1] in b":>":
            break
    return at


def _later_stamp(line: bytes, at: int, head: Head) -> int:
    stamp = stamp_at(line, at, True)
    word = _end(line, at)
    if not stamp and word > at and line[word - 1] not in b":]-":
        stamp = stamp_at(line, _skip(line, word), False)
    if not stamp or not head.stamp:
        return 0
    if head.stamp.since_1970_us:
        head.stamp = head.stamp._replace(worded=stamp.worded)
    else:
        head.stamp = stamp._replace(clock_us=head.stamp.clock_us) if stamp.alone else stamp
    return stamp.until


def _close(line: bytes, at: int) -> int:
    depth = 0
    for place, byte in enumerate(line[at : at + BRACKET_BYTES_MAX], at):
        depth += (byte == 91) - (byte == 93)
        if byte == 93 and depth == 0:
            return place + 1
    return 0


def _bracket(line: bytes, at: int, head: Head, bracketed: bool) -> int:
    until = _close(line, at)
    if not until:
        return 0
    level = _level_within(line, at, until)
    if level and not head.level:
        head.level = level
        return until
    return until if not bracketed and _belongs(line, at, until, head) else 0


def _level_within(line: bytes, at: int, until: int) -> int:
    return level_word(line[at + 1 : until - 1].rpartition(b":")[2].rstrip(b" "))


def _belongs(line: bytes, at: int, until: int, head: Head) -> bool:
    if head.level and head.named:
        return True
    place = _skip(line, until)
    word = line[place : _end(line, place)]
    if head.level:
        return b" " not in line[at:until] or word in (b"-", b":") or (len(word) > 1 and word.endswith(b":"))
    if line[place : place + 1] == b"[":
        close = _close(line, place)
        return close > 0 and _level_within(line, place, close) > 0
    return bare_level(word) > 0


def _level_ahead(line: bytes, first: int, head: Head) -> int:
    at, named = first, (first, first)
    for _ in range(5):
        at = _skip(line, at)
        until = _end(line, at)
        word = line[at:until]
        level = bare_level(word)
        wide = until + 1 < len(line) and (line[until] == 9 or line[until + 1] == 32)
        if at == first and not level and wide:
            level = level_word(word)
        if level and (len(word) > 1 or at > first):
            head.level = level
            if named[1] > named[0] and not head.named:
                head.component = named
            return until
        if not word or _STOPS.search(word):
            return 0
        if _CAPITAL.search(word):
            named = (at, until)
        at = until
    return 0


def _slashed(line: bytes, at: int, head: Head) -> int:
    found = _SLASHED.match(line, at)
    if not found or len(found[1]) > COMPONENT_BYTES_MAX - 3:
        return 0
    head.level = LETTERS[line[at]]
    head.component = (found.start(1), found.start(1) + len(found[1].rstrip(b" ")))
    return found.end()


def _component(line: bytes, at: int, head: Head, levelled: bool, syslog: bool) -> int:
    until = _end(line, at)
    word = line[at:until]
    if len(word) > COMPONENT_BYTES_MAX:
        return 0
    if word.startswith(b"<") and word.endswith(b">"):
        head.component = (at + 1, until - 1)
        return until
    if syslog and not word.endswith(b":"):
        return _tag(line, until, head)
    if word.endswith(b":") and len(word) > 1 and _LETTER.match(word):
        head.component = _named(line, at, until - 1)
        return until
    place = _skip(line, until)
    mark = line[place : _end(line, place)]
    if len(mark) <= MARK_BYTES_MAX and mark != b"-" and not _LETTER.search(mark):
        place = _skip(line, place + len(mark))
    dashed = line[place : place + 2] == b"- "
    wide = until + 1 < len(line) and (line[until] == 9 or line[until + 1] == 32)
    dotted = _NAME.fullmatch(word) and b"." in word and not word.endswith(b".")
    if dashed or (levelled and _LETTER.match(word) and (wide or dotted)):
        head.component = (at, until)
        return place if dashed else until
    return 0


def _named(line: bytes, at: int, until: int) -> tuple[int, int]:
    """A word without what stands in brackets behind it."""
    size = line[at:until].find(b"[")
    return at, at + size if size > 0 else until


def _tag(line: bytes, host_end: int, head: Head) -> int:
    first = at = _skip(line, host_end)
    for _ in range(3):
        until = _end(line, at)
        if until == at:
            return host_end
        if line[until - 1] == 58:
            head.component = _named(line, first, until - 1)
            return until
        at = _skip(line, until)
    return host_end
