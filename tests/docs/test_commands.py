"""Commands that the pages tell people to type."""

from __future__ import annotations

import re
from pathlib import Path

_BLOCK = re.compile(r"^```(?:sh|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _commands(page: Path) -> str:
    """Shell blocks and code spans: where commands stand; `make` in prose is a verb."""
    text = page.read_text()
    return "\n".join([*_BLOCK.findall(text), *re.findall(r"`([^`\n]+)`", text)])


def test_every_target_that_a_page_names_exists(pages: list[Path], targets: dict[str, str]) -> None:
    """Whoever types what a page says gets no error."""
    named = {
        (page.name, name)
        for page in pages
        for name in re.findall(r"^make ([a-z-]+)", _commands(page), re.MULTILINE)
    }
    assert {(page, name) for page, name in named if name not in targets} == set()


def test_the_readme_names_every_target_but_the_makers_own(root: Path, targets: dict[str, str]) -> None:
    """README lists what a user or contributor runs; `make help` lists them all."""
    named = set(re.findall(r"\bmake ([a-z-]+)", _commands(root / "README.md")))
    assert set(targets) - named <= {"reference", "lock", "format", "clean"}


def test_the_readme_shows_the_two_commands_first(root: Path) -> None:
    """The first block of README is all that a newcomer has to type."""
    first = _BLOCK.search((root / "README.md").read_text())
    assert first is not None
    assert re.findall(r"make \w+", first[1]) == ["make demo", "make test"]


def test_scripts_can_be_run(root: Path) -> None:
    """What the Makefile and CI call is executable."""
    scripts = [root / ".ci" / "run", *(each for each in (root / "scripts").iterdir() if not each.suffix)]
    assert [path.name for path in scripts if path.is_file() and not path.stat().st_mode & 0o100] == []
