"""The SQL of a store, kept in files of its package: schema, numbered migrations, named queries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Final

_HEAD: Final = re.compile(r"^-- (name|part): (\w+)$", re.MULTILINE)
_USE: Final = re.compile(r"^-- with: (\w+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Scripts:
    """`schema` is what all `migrations` together amount to; `queries` by name."""

    schema: str
    migrations: tuple[str, ...]
    queries: Mapping[str, str]


def load_scripts(package: str, store: str) -> Scripts:
    """The files under `sql/<store>` of `package`; migrations must be numbered 0001, 0002 … without gaps."""
    folder = files(package) / "sql" / store
    steps = sorted(
        (step for step in (folder / "migrations").iterdir() if step.name.endswith(".sql")),
        key=lambda step: step.name,
    )
    for number, step in enumerate(steps, start=1):
        if not step.name.startswith(f"{number:04}_"):
            raise ValueError(f"migrations of {store} are not numbered without gaps: {step.name}")
    return Scripts(
        schema=(folder / "schema.sql").read_text(),
        migrations=tuple(step.read_text() for step in steps),
        queries=split_queries((folder / "queries.sql").read_text()),
    )


def split_queries(text: str) -> dict[str, str]:
    """Named statements of a .sql file, with the parts that several of them share.

    >>> split_queries("-- name: one\\nSELECT 1\\n-- name: two\\nSELECT 2\\n")
    {'one': 'SELECT 1', 'two': 'SELECT 2'}
    >>> split_queries("-- part: few\\nLIMIT 9\\n-- name: some\\nSELECT a FROM b\\n-- with: few\\n")
    {'some': 'SELECT a FROM b\\nLIMIT 9'}
    """
    pieces = _HEAD.split(text)[1:]
    found = list(zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True))
    parts = {name: piece.strip("\n") for kind, name, piece in found if kind == "part"}
    return {
        name: _USE.sub(lambda use: parts[use[1]], query).strip()
        for kind, name, query in found
        if kind == "name"
    }
