"""What a window may have become, by what people asked for: docs/how-to/maintain.md, "Change" and "End"."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from proof.model.windows import Asked


@dataclass(frozen=True, slots=True)
class Change:
    """What somebody asks to be otherwise of a window; what is None stays. With `ends` it holds no longer.

    `until` has the new end, None in it for no end; without one the end stays. `read` is the revision that the
    window must still have, None for whatever it has.
    """

    key: str
    read: int | None = None
    until: tuple[int | None, ...] = ()
    why: str | None = None
    no_alert: bool | None = None
    no_learn: bool | None = None
    ends: bool = False


@dataclass(frozen=True, slots=True)
class Revision:
    """A window as it stood; `by` is the key of the change that made it so."""

    number: int
    asked: Asked
    ended: bool = False
    by: str = ""


Fits = Callable[[Revision], bool]


def histories(
    asked: Asked, changes: Sequence[Change], last: int, fits: Fits
) -> Iterator[tuple[Revision, ...]]:
    """Every way from what was asked for to the revision `last`, with all between, that fits what is known.

    A change may have been made or not, whatever its sender heard; one that names no revision also twice.
    """
    first = Revision(1, asked)
    if fits(first):
        yield from _onwards((first,), changes, last, fits)


def is_in(history: Sequence[Revision], change: Change, number: int) -> bool:
    """Whether a change is in the revision with which it was answered: it was made, or it was so already."""
    known = [each for each in history if each.number <= number]
    return any(each.by == change.key or _is_so(each, change) for each in known)


def _onwards(
    history: tuple[Revision, ...], changes: Sequence[Change], last: int, fits: Fits
) -> Iterator[tuple[Revision, ...]]:
    if history[-1].number >= last:
        yield history
        return
    for change in changes:
        following = _after(history[-1], change)
        if following is not None and fits(following):
            yield from _onwards((*history, following), changes, last, fits)


def _after(before: Revision, change: Change) -> Revision | None:
    """None where the change is refused, or changes nothing. What was ended stays as it is."""
    if before.ended or change.read not in {None, before.number} or _is_so(before, change):
        return None
    asked = _changed(before.asked, change)
    if not (asked.no_alert or asked.no_learn):
        return None
    return Revision(before.number + 1, asked, change.ends, change.key)


def _is_so(found: Revision, change: Change) -> bool:
    return found.ended if change.ends else _changed(found.asked, change) == found.asked


def _changed(asked: Asked, change: Change) -> Asked:
    return replace(
        asked,
        until_ms=change.until[0] if change.until else asked.until_ms,
        why=asked.why if change.why is None else change.why,
        no_alert=asked.no_alert if change.no_alert is None else change.no_alert,
        no_learn=asked.no_learn if change.no_learn is None else change.no_learn,
    )
