"""The templates that are known without having been learnt: those of the settings and of the dictionary."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin.templates.dictionary import Dictionary


class Expected:
    """Whether a template is among them. `whole`: what is not is new, however little is learnt yet."""

    def __init__(self, configured: Sequence[str], dictionary: Dictionary | None) -> None:
        taken = [] if dictionary is None else [each.template for each in dictionary.templates]
        self._texts = frozenset([*configured, *taken])
        self._cut = [cut(text) for text in sorted(self._texts) if "<*>" in text]
        self.whole = bool(configured) or (dictionary is not None and not dictionary.partial)

    def __contains__(self, text: str) -> bool:
        return text in self._texts or any(_fits(text, parts) for parts in self._cut)


def cut(template: str) -> tuple[str, ...]:
    """What stands between the places that vary.

    >>> "load <*> of <*>" in Expected(["load <*>"], None), "reload <*>" in Expected(["load <*>"], None)
    (True, False)
    """
    return tuple(template.split("<*>"))


def _fits(text: str, parts: tuple[str, ...]) -> bool:
    first, last = parts[0], parts[-1]
    if not text.startswith(first) or not text.endswith(last) or len(text) < len(first) + len(last):
        return False
    at, end = len(first), len(text) - len(last)
    for part in parts[1:-1]:
        found = text.find(part, at, end)
        if found < 0:
            return False
        at = found + len(part)
    return True
