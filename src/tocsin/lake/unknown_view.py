"""An answer for SQL that asks for a table that there is not: Tocsin's own views, not those of the engine."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final

_NO_TABLE: Final = re.compile(r"Catalog Error: Table with name (.+?) does not exist!", re.DOTALL)


def unknown_view(words: str, views: Sequence[str]) -> str | None:
    """What to say instead of the engine's `words`; None if they say something else.

    >>> unknown_view("Catalog Error: Table with name reading does not exist!", ["readings", "hours"])
    "there is no view 'reading', perhaps readings; there are hours, readings"

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
    nearest = get_close_matches(name.lower(), views, n=1)
    perhaps = f", perhaps {nearest[0]}" if nearest else ""
    return f"there is no view {name!r}{perhaps}; there are {', '.join(sorted(views))}"
