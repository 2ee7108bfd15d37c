"""What campaigns have added up to: one JSON object a line, with `what`, `at`, `commit` and figures."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

HISTORY: Final = Path(__file__).parents[1] / "history.ndjson"


def lines() -> list[dict[str, Any]]:
    """All runs, oldest first."""
    if not HISTORY.exists():
        return []
    return [json.loads(line) for line in HISTORY.read_text().splitlines() if line]


def total(runs: Iterable[Mapping[str, Any]], figure: str) -> int:
    """The sum of a count over the runs that have it."""
    return sum(int(run.get(figure) or 0) for run in runs)
