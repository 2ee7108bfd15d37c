"""The words of the project."""

from __future__ import annotations

import re
from pathlib import Path

_WORDS = [
    "tenant",
    "application",
    "version",
    "device",
    "component",
    "location",
    "technician",
    "directory",
    "reading",
    "series",
    "event",
    "dump",
    "log",
    "shard",
    "partition",
    "lake",
    "detector",
    "threshold",
    "episode",
    "anomaly",
    "incident",
    "evidence",
    "model",
    "registry",
    "offset",
    "digest",
]


def _defined(root: Path) -> list[str]:
    text = (root / "docs" / "glossary.md").read_text()
    rows = re.findall(r"^\| ([^|]+?) \| [^|]+ \|$", text, re.MULTILINE)
    return [word for row in rows if row != "word" for word in row.split(", ")]


def test_every_word_of_the_design_is_defined(root: Path) -> None:
    """The glossary leaves none of the words out that everything else hangs on."""
    assert {*_WORDS, "control record"} - set(_defined(root)) == set()


def test_no_word_is_defined_twice(root: Path) -> None:
    """A word has one meaning."""
    assert len(set(_defined(root))) == len(_defined(root))
