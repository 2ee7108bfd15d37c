"""A planted bug: a small change of the product's own code that does harm."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proof.planted.marker import PLACE, statement

BUGS: Final = Path(__file__).parent / "bugs"


class PlantingError(Exception):
    """A bug that can't be planted: its text is not there exactly once, or nothing shows that it ran."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """In `file`, `before` is replaced by `after`, in which `{ran}` stands where the changed code begins.

    `harm` says in one sentence what a user would suffer. `kernel`: the code is compiled by Numba. `tests` are
    those that state the behaviour it breaks, as pytest names them; they are asked first. `checks` names those
    that should catch it, likeliest first; the others are asked when these find nothing.
    """

    name: str
    file: str
    harm: str
    before: str
    after: str
    kernel: bool = False
    tests: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()

    def changed(self, source: str) -> str:
        """The source with the bug in it, and with the marker that shows that it ran."""
        found = source.count(self.before)
        if found != 1:
            raise PlantingError(f"{self.name}: its text stands {found} times in {self.file}, not once")
        if PLACE not in self.after:
            raise PlantingError(f"{self.name}: nothing would show that it ran: put {PLACE} into `after`")
        return source.replace(self.before, self.after.replace(PLACE, statement(self.kernel)))


def catalogue(folder: Path = BUGS) -> list[Bug]:
    """All bugs of the catalogue, by file and place in it; PlantingError for a name that is there twice."""
    bugs = [bug for path in sorted(folder.glob("*.toml")) for bug in _read(path)]
    names = [bug.name for bug in bugs]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise PlantingError(f"names that are there twice: {', '.join(sorted(twice))}")
    return bugs


def _read(path: Path) -> Iterable[Bug]:
    for entry in tomllib.loads(path.read_text())["bug"]:
        lists = {name: tuple(entry.get(name, ())) for name in ("tests", "checks")}
        yield Bug(**entry | lists)
