"""Templates that say the same in other words.

Two things hide that lines have one template when only their texts, cut at separators, are compared:

- a quantity may have another unit, be a bound, or be said twice: `9 B`, `<1 sec`, `2842 bytes (2.8 KB)`;
- a value may hold separators: `10.1.2.3`, `LOCAL(0)`, `node[3]`.

So templates that differ in how a quantity is said alone become one, and so does a template that another one
matches with a single `<*>` between two spaces. Both depend on the set of templates, not on their order.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import Final

FIELDS_MAX: Final = 64
_UNIT: Final = (
    r"(?:[KMGT]i?B|kB|B|bytes?|[mun]?s|secs?|seconds?|msecs?|milliseconds?|mins?|minutes?|hours?|days?)"
    r"(?![\w/])"
)
_QUANTITY: Final = re.compile(rf"(?<!\S)[<>~]?<\*>(?: ?{_UNIT})?(?: \(<\*> ?{_UNIT}\))?")
_FIELD: Final = re.compile(r"(.*<\*>.*?)([,;:.]?)")


def merged(texts: Iterable[str]) -> dict[str, str]:
    """The template that stands for each one."""
    alike: dict[str, list[str]] = defaultdict(list)
    for text in dict.fromkeys(texts):
        key = _QUANTITY.sub("<*>", text)
        alike[key if _says(key) else text].append(text)
    stands = {each: some[0] if len(some) == 1 else key for key, some in alike.items() for each in some}
    known = set(stands.values())
    wider = {text: _wider(text, known) for text in known}
    return {text: _last(wider, key) for text, key in stands.items()}


def _says(text: str) -> bool:
    """Whether it has letters of its own."""
    return any(map(str.isalpha, text))


def _wider(text: str, known: set[str]) -> str:
    """A known template that has one `<*>` where this one has more between two spaces; else this one."""
    fields = text.split(" ")
    if len(fields) > FIELDS_MAX:
        return text
    for place, field in enumerate(fields):
        found = _FIELD.fullmatch(field) if len(field) > 4 else None
        if found and found[1] != "<*>":
            other = " ".join([*fields[:place], "<*>" + found[2], *fields[place + 1 :]])
            if other in known and _says(other):
                return other
    return text


def _last(wider: dict[str, str], text: str) -> str:
    while wider[text] != text:
        text = wider[text]
    return text
