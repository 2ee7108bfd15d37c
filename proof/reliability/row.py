"""A row of the tables: what may happen, what is promised, and the tests that show it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROWS: Final = Path(__file__).with_name("rows.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """`tests` are pytest's ids; a row without any says in `later` what it waits for."""

    name: str
    outcome: str
    tests: tuple[str, ...] = ()
    command: str = ""
    later: str = ""


def rows_of(table: str) -> list[Row]:
    """The rows of `fault` or `input`, in their order."""
    entries = tomllib.loads(ROWS.read_text())[table]
    return [Row(**entry | {"tests": tuple(entry.get("tests", ()))}) for entry in entries]
