"""What the tests of the documents look at: the tracked files, the pages and the Makefile."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def tracked() -> list[Path]:
    """Every file that git tracks, or would if it were added now."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [ROOT / name for name in names.split("\0") if name and (ROOT / name).is_file()]


@pytest.fixture(scope="session")
def pages(tracked: list[Path]) -> list[Path]:
    """Every Markdown page."""
    return [path for path in tracked if path.suffix == ".md"]


@pytest.fixture(scope="session")
def targets() -> dict[str, str]:
    """Targets of the Makefile that people call, with their help text."""
    lines = (ROOT / "Makefile").read_text().splitlines()
    found = [re.match(r"([a-z-]+):.*?## (.+)", line) for line in lines]
    return {match[1]: match[2] for match in found if match}
