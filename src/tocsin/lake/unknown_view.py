"""An answer for SQL that asks for a table that there is not: Tocsin's own views, not those of the engine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import SequenceMatcher
from typing import Final

_NO_TABLE: Final = re.compile(r"Catalog Error: Table with name (.+?) does not exist!", re.DOTALL)


def unknown_view(words: str, views: Sequence[str]) -> str | None:
    """What to say instead of the engine's `words`, nearest view first; None if they say something else.

    >>> unknown_view("Catalog Error: Table with name reading does not exist!", ["hours", "readings"])
    "there is no view 'reading'; there are readings, hours"

    >>> unknown_view("Catalog Error: Table with name Anomalies does not exist!", ["hours"])
    'anomalies are no view: `tocsin anomalies` lists them; the view episodes has what they consist of'
    """
    found = _NO_TABLE.match(words)
    if found is None:
        return None
    name = found[1]
    if name.lower() in {"anomalies", "anomaly"}:
        return (
            "anomalies are no view: `tocsin anomalies` lists them; the view episodes has what they consist of"
        )
    nearest = sorted(views, key=lambda view: -SequenceMatcher(None, name.lower(), view).ratio())
    return f"there is no view {name!r}; there are {', '.join(nearest)}"
