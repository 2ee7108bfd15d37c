"""ETags that are version numbers, and what If-Match says of them."""

from __future__ import annotations

import re
from typing import Final

from tocsin.errors import InvalidInputError

_ETAG: Final = re.compile(r'"(\d{1,18})"')


def etag_of(version: int) -> str:
    """As a header carries it.

    >>> etag_of(3)
    '"3"'
    """
    return f'"{version}"'


def version_in(if_match: str, what: str) -> int | None:
    """The version that is named, None for `*`; InvalidInputError for what is no ETag of a `what`."""
    if if_match.strip() == "*":
        return None
    found = _ETAG.fullmatch(if_match.strip())
    if found is None:
        raise InvalidInputError(f'If-Match is the ETag of {what}, such as "3", or *.', field="If-Match")
    return int(found[1])
