"""What a file holds on the disk for certain, and what was written to it since its last sync."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

import xxhash

from proof.shim.event import Event, Kind

SECTOR_BYTES: Final = 512
PAGE_BYTES: Final = 4096


class Fate(Enum):
    """What a power cut lets through of unsynced changes, in one file or among names.

    `before` means: all up to one moment, nothing after it, over the whole disk.
    """

    NOTHING = auto()
    ALL = auto()
    BEFORE = auto()
    ANY = auto()
    TORN = auto()
    SIZES = auto()


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes of a file after a cut, with their hash."""

    data: bytes
    hash: bytes

    @classmethod
    def of(cls, data: bytes) -> Content:
        return cls(data, xxhash.xxh3_128_digest(data))


@dataclass(slots=True)
class Change:
    """An unsynced change, and when it was made."""

    event: Event
    moment: int


@dataclass(slots=True, eq=False)
class File:
    """Contents by inode: names come and go without it."""

    _synced: bytearray = field(default_factory=bytearray)
    pending: list[Change] = field(default_factory=list)
    _certain: Content | None = None

    def change(self, event: Event, moment: int) -> None:
        """A write or a truncation that nothing has synced yet."""
        self.pending.append(Change(event, moment))

    def sync(self) -> None:
        """Everything up to now is certain."""
        for change in self.pending:
            _apply(self._synced, change.event)
        if self.pending:
            self._certain = None
        self.pending = []

    def certain(self) -> Content:
        """What was synced."""
        if self._certain is None:
            self._certain = Content.of(bytes(self._synced))
        return self._certain

    def as_written(self) -> bytes:
        """What the running process sees."""
        content = bytearray(self._synced)
        for change in self.pending:
            _apply(content, change.event)
        return bytes(content)

    def after_cut(self, fate: Fate, moment: int, rng: random.Random) -> Content:
        """One of the contents that a cut may leave."""
        if not self.pending or fate is Fate.NOTHING:
            return self.certain()
        content = bytearray(self._synced)
        for change in self.pending:
            if fate is Fate.BEFORE and change.moment > moment:
                break
            if fate in {Fate.ALL, Fate.BEFORE}:
                _apply(content, change.event)
            else:
                _apply_in_part(content, change.event, fate, rng)
        return Content.of(bytes(content))


def _apply(content: bytearray, event: Event) -> None:
    if event.kind is Kind.TRUNCATE:
        del content[event.offset :]
        content.extend(bytes(event.offset - len(content)))
        return
    _extend(content, event.offset)
    content[event.offset : event.offset + len(event.data)] = event.data


def _extend(content: bytearray, size: int) -> None:
    content.extend(bytes(max(0, size - len(content))))


def _apply_in_part(content: bytearray, event: Event, fate: Fate, rng: random.Random) -> None:
    """Some of it: whole or not at all; sector by sector; or the new size without the bytes."""
    if event.kind is Kind.TRUNCATE or fate is Fate.ANY:
        if rng.random() < 0.5:
            _apply(content, event)
        return
    if rng.random() < 0.4:
        _apply(content, event)
        return
    if fate is Fate.SIZES:
        if rng.random() < 0.5:
            _extend(content, event.offset + len(event.data))
        return
    sector = rng.choice((SECTOR_BYTES, PAGE_BYTES))
    first = event.offset // sector * sector
    keep = rng.random()
    for begin in range(first, event.offset + len(event.data), sector):
        if rng.random() < keep:
            low, high = max(begin, event.offset), min(begin + sector, event.offset + len(event.data))
            _extend(content, low)
            content[low:high] = event.data[low - event.offset : high - event.offset]
