"""The history of campaigns: one line a run, with the commit it judged."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).with_name("history.ndjson")


def remember(what: str, figures: Mapping[str, Any], file: Path = FILE) -> None:
    """Add a line: what ran, when, on which commit (with + where files were changed), and its figures."""
    line = {
        "what": what,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        **figures,
    }
    with file.open("a") as history:
        history.write(json.dumps(line) + "\n")


def commit() -> str:
    """The commit of the working tree; "+" after it where tracked files differ from it."""

    def ask(*words: str) -> str:
        command = ["git", "-C", str(FILE.parent), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    changed = ask("status", "--porcelain", "--untracked-files=no", "--", "../src")
    return ask("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
