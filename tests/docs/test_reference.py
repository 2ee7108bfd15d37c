"""What the reference must list: every code that an answer can carry."""

from __future__ import annotations

import importlib
import pkgutil
import re
from pathlib import Path

import pytest

import tocsin
from tocsin.cli.reference import render_reference
from tocsin.errors import TocsinError
from tocsin.ingest.parsing.line_code import LINE_CODES


def _load_everything() -> None:
    for module in pkgutil.walk_packages(tocsin.__path__, "tocsin."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)


def _answers(kind: type[TocsinError] = TocsinError) -> dict[str, int]:
    """Status by code of every answer there is, also of those that are declared beside their users."""
    found = {each.code: each.status for each in kind.__subclasses__()}
    for each in kind.__subclasses__():
        found |= _answers(each)
    return found


@pytest.fixture(scope="module")
def sections(root: Path) -> dict[str, str]:
    """The page of problems by code."""
    text = (root / "docs" / "problems" / "index.md").read_text()
    parts = re.split(r"^### ", text, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


def test_every_answer_is_documented_with_its_status(sections: dict[str, str]) -> None:
    """Whoever gets a code finds what it means and what to do."""
    _load_everything()
    lacking = [
        code for code, status in _answers().items() if f"HTTP status {status}." not in sections.get(code, "")
    ]
    assert lacking == []


def test_every_code_of_a_line_is_documented_as_the_answer_says_it(sections: dict[str, str]) -> None:
    """The page and the answers give the same meaning and the same advice."""
    lacking = [
        code.value
        for code, info in LINE_CODES.items()
        if info.meaning not in sections.get(code, "") or info.remedy not in sections.get(code, "")
    ]
    assert lacking == []


def test_every_documented_code_says_what_to_do(sections: dict[str, str]) -> None:
    """An error without advice is half an answer."""
    assert [code for code, text in sections.items() if "*What to do:* " not in text] == []


def test_every_command_is_described_as_its_help_says_it(root: Path) -> None:
    """The page of commands is what the commands say of themselves; `make reference` writes it anew."""
    assert (root / "docs" / "reference" / "cli.md").read_text() == render_reference()
