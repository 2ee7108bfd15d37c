"""Blocks of code that a page marks as runnable, run as a reader would type them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tocsin.testing import free_port

pytestmark = [pytest.mark.services, pytest.mark.long]  # most pages start a server

ROOT = Path(__file__).parents[2]
_MARKED = re.compile(r"<!-- runnable -->\n+```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
_RUNNABLE = [page for page in _PAGES if _MARKED.search(page.read_text())]


def _script(page: Path) -> str:
    """The marked blocks of a page as one shell script; a block of Python is given to `python`."""
    blocks = []
    for language, block in _MARKED.findall(page.read_text()):
        blocks.append(block if language == "sh" else f"python - <<'END OF BLOCK'\n{block}END OF BLOCK\n")
    return "\n".join(blocks)


def _run(script: str, folder: Path) -> tuple[int, str]:
    """Run in one shell with a port of its own; whatever it started is ended with it."""
    port = str(free_port())
    environment = os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "TOCSIN_HTTP__PORT": port,
        "TOCSIN_URL": f"http://127.0.0.1:{port}",
    }
    command = ["sh", "-eu", "-c", script.replace("8765", port)]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=output, start_new_session=True
        )
        try:
            code = process.wait(timeout=240)
        finally:
            with suppress(ProcessLookupError):  # nothing is left to be ended
                os.killpg(process.pid, signal.SIGKILL)
    return code, (folder / "output").read_text(errors="replace")


def test_some_page_can_be_run() -> None:
    """At least the tutorial is checked by running it."""
    assert "first-alarm.md" in {page.name for page in _RUNNABLE}


@pytest.mark.parametrize("page", _RUNNABLE, ids=lambda page: str(page.stem))
def test_the_blocks_of_a_page_run(page: Path, tmp_path: Path) -> None:
    """Its blocks run one after another in one shell and one empty folder, and none fails."""
    code, output = _run(_script(page), tmp_path)
    assert code == 0, output
