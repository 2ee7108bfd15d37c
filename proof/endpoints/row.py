"""Rows of docs/reference/endpoints.md: what is needed, what is set going, and what happens without."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

ROWS: Final = Path(__file__).with_name("rows.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class DependencyRow:
    """`down`: it can't be used; `full`: it takes nothing more. `shown_by` are pytest's ids."""

    name: str
    what: str
    down: str
    full: str
    shown_by: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkRow:
    """An operation or a job. Each trace shows all that it `needs`, some show what it `may` call.

    `without` are answers that differ from what the dependency's row says: name → status.
    """

    name: str
    text: str
    when: str = ""
    needs: frozenset[str] = frozenset()
    may: frozenset[str] = frozenset()
    sets_going: frozenset[str] = frozenset()
    without: Mapping[str, str] = field(default_factory=dict)


def dependency_rows() -> list[DependencyRow]:
    """Of every dependency, by name."""
    found = [
        DependencyRow(**_renamed(entry, "is", "what") | {"shown_by": tuple(entry["shown_by"])})
        for entry in _entries("dependency")
    ]
    return sorted(found, key=lambda row: row.name)


def endpoint_rows() -> list[WorkRow]:
    """Of every operation, such as `GET /v1/devices`."""
    return [_work(_renamed(entry, "operation", "name")) for entry in _entries("endpoint")]


def job_rows() -> list[WorkRow]:
    """Of every job."""
    return [_work(entry) for entry in _entries("job")]


def thread_rows() -> dict[str, str]:
    """What threads do that are no jobs, by name."""
    return {entry["name"]: entry["text"] for entry in _entries("thread")}


def _entries(kind: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = tomllib.loads(ROWS.read_text())[kind]
    return found


def _renamed(entry: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    return {new if key == old else key: value for key, value in entry.items()}


def _work(entry: dict[str, Any]) -> WorkRow:
    sets = {name: frozenset(entry.get(name, ())) for name in ("needs", "may", "sets_going")}
    return WorkRow(**entry | sets)
