"""Blocks of code that a page marks as runnable, run as a reader would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

_MARKED = re.compile(r"<!-- runnable -->\n+```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def _run(language: str, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    paths = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    command = ["sh", "-eu", "-c", code] if language == "sh" else [sys.executable, "-c", code]
    environment = os.environ | {"PATH": paths}
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


def test_every_runnable_block_runs(pages: list[Path], tmp_path: Path) -> None:
    """The blocks of a page run one after another in one empty folder, as its reader would type them."""
    for page in pages:
        folder = tmp_path / "-".join(page.with_suffix("").parts[-2:])
        folder.mkdir()
        for language, code in _MARKED.findall(page.read_text()):
            done = _run(language, code, folder)
            assert done.returncode == 0, f"{page.name}:\n{code}\n{done.stdout}{done.stderr}"
