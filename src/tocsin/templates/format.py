"""A declared format of log lines: ordered fields, for applications whose lines are not recognised.

    >>> declared("[{time}] {level} {component}: {message}").roles.tolist()
    [1, 2, 3, 4]

Fields are `{time}`, `{level}`, `{component}` and `{message}`, the last of the format; any other name is for
text that does not matter. Whatever stands between must stand in the line, a space for one space or more.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from tocsin.errors import InvalidInputError
from tocsin.templates._declared_kernel import IGNORED, LEVELLED, MESSAGE, NAMED, TIME

FIELDS_MAX: Final = 32
_ROLES: Final = {"time": TIME, "level": LEVELLED, "component": NAMED, "message": MESSAGE}
_FIELD: Final = re.compile(r"\{([a-z_]+)\}")


class Format(NamedTuple):
    """Fields in order: their roles, and the bytes before each and behind the last one."""

    roles: npt.NDArray[np.int64]
    places: npt.NDArray[np.int64]
    literals: npt.NDArray[np.uint8]


RECOGNISED: Final = Format(np.zeros(0, np.int64), np.zeros(1, np.int64), np.zeros(0, np.uint8))
"""No declared format: lines are read as they are recognised."""


def declared(text: str) -> Format:
    """A format from its text; InvalidInputError says what is wrong with it."""
    parts = _FIELD.split(text)
    names, between = parts[1::2], parts[::2]
    if not 1 <= len(names) <= FIELDS_MAX or names[-1] != "message" or between[-1]:
        raise InvalidInputError(
            f"{text!r}: a format of lines ends with {{message}} and has up to {FIELDS_MAX} fields"
        )
    for name in _ROLES:
        if names.count(name) > 1:
            raise InvalidInputError(f"{text!r}: {{{name}}} stands twice in this format of lines")
    if any("{" in each or "}" in each or "\n" in each for each in between):
        raise InvalidInputError(
            f"{text!r}: what stands in braces in a format of lines is a name in small letters"
        )
    if any(not each for each in between[1:-1]):
        raise InvalidInputError(f"{text!r}: two fields of a format of lines need something between them")
    literals = [each.encode() for each in between]
    places = np.cumsum([0, *map(len, literals)])
    roles = np.array([_ROLES.get(name, IGNORED) for name in names], np.int64)
    return Format(roles, places.astype(np.int64), np.array(list(b"".join(literals)), np.uint8))
