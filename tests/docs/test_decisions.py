"""Decisions: their numbers, their form, and that dependencies have one."""

from __future__ import annotations

import re
import tomllib
from itertools import chain
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def decisions(root: Path) -> list[Path]:
    return sorted((root / "docs" / "adr").glob("[0-9]*.md"))


def test_numbers_are_unique_and_match_the_titles(decisions: list[Path]) -> None:
    """The number in a decision's file name is its own and the one in its title."""
    numbers = [path.name[:4] for path in decisions]
    assert len(set(numbers)) == len(numbers)
    titled = {path.name: path.read_text().partition("\n")[0] for path in decisions}
    assert {name: title for name, title in titled.items() if not re.match(rf"# {name[:4]}: \S", title)} == {}


def test_every_decision_says_why_not_otherwise(decisions: list[Path]) -> None:
    """Context, decision, alternatives and consequences: a decision without them teaches nothing."""
    headings = ["## Context", "## Decision", "## Why not otherwise", "## Consequences"]
    lacking = {path.name: [each for each in headings if each not in path.read_text()] for path in decisions}
    assert {name: missing for name, missing in lacking.items() if missing} == {}
    assert [path.name for path in decisions if "\nStatus: " not in path.read_text()] == []


def test_every_dependency_has_a_reason(root: Path) -> None:
    """The tables of ADR 0002 and pyproject.toml name the same packages."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    groups = project["dependency-groups"]
    extras = project["project"]["optional-dependencies"].values()
    wanted = chain(project["project"]["dependencies"], *groups.values(), *extras)
    names = {re.match(r"[\w.-]+", requirement)[0] for requirement in wanted}  # type: ignore[index]
    text = (root / "docs" / "adr" / "0002-dependencies.md").read_text()
    assert set(re.findall(r"^\| ([a-z][\w.-]+) \| (?!field)", text, re.MULTILINE)) - {"package"} == names
