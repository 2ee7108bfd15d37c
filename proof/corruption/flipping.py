"""Flips bits in one file of a folder."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Flip:
    """One bit of one file, by its path below the data folder."""

    path: str
    byte: int
    bit: int

    def apply(self, data: Path) -> None:
        """Turn it round."""
        with (data / self.path).open("r+b") as file:
            file.seek(self.byte)
            old = file.read(1)[0]
            file.seek(self.byte)
            file.write(bytes([old ^ 1 << self.bit]))


def kind_of(path: str) -> str:
    """What sort of file it is, for counting.

    >>> kind_of("log/segment-000000000001.db-wal"), kind_of("lake/hours/_delta_log/0001.json")
    ('log-wal', 'lake entry')
    """
    name = Path(path).name
    if path.startswith("lake/"):
        if "_delta_log" in path:
            return "lake checkpoint" if "checkpoint" in name else "lake entry"
        return "lake file" if name.endswith(".parquet") else "lake ledger"
    stem = "log" if name.startswith("segment-") else name.split(".")[0]
    return f"{stem}-wal" if name.endswith("-wal") else stem


def flips_in(data: Path, rng: random.Random, count: int) -> Iterator[Flip]:
    """Bits by chance: first a kind of file, then a file of it, so that small files have their share."""
    kinds: dict[str, list[str]] = {}
    for path in sorted(data.rglob("*")):
        if path.is_file() and path.stat().st_size and not path.name.endswith(("-shm", "lock")):
            name = path.relative_to(data).as_posix()
            kinds.setdefault(kind_of(name), []).append(name)
    for number in range(count):
        names = kinds[sorted(kinds)[number % len(kinds)]]
        name = rng.choice(names)
        yield Flip(name, rng.randrange((data / name).stat().st_size), rng.randrange(8))
