"""Log lines that came one by one, as the files of a dump would have them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Final
from urllib.parse import quote

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WORD: Final = re.compile(r"[A-Za-z]{1,16}", re.ASCII)
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f/\\%:]|^\.{1,2}$")
_NAME_BYTES_MAX: Final = 480


def member_name(component: str) -> str:
    """The member that holds a component's lines, of which dumps.component_of gives the component again.

    Names that no file may have are percent-encoded, and cut off where they are too long.

    >>> member_name("door"), member_name("a/b"), member_name("..")
    ('door/door.log', 'a%2Fb/a%2Fb.log', '%2E%2E/%2E%2E.log')
    """
    name = component
    if _UNSAFE.search(component):
        name = quote(component, safe=" !$&'()*+,;=@[]")
        name = name.replace(".", "%2E") if set(component) == {"."} else name
    name = name.encode()[:_NAME_BYTES_MAX].decode("utf-8", "ignore")
    return f"{name}/{name}.log"


def line_text(time_ms: int, level: str, text: str) -> bytes:
    """A line with its end that says when, and with which level.

    >>> line_text(1_250, "warn", "too hot"), line_text(1_250, "", "too hot")
    (b'1970-01-01T00:00:01.250Z WARN too hot\\n', b'1970-01-01T00:00:01.250Z too hot\\n')
    """
    second, ms = divmod(time_ms, 1000)
    word = f"{level.upper()} " if level and _WORD.fullmatch(level) else ""
    return f"{_second(second)}.{ms:03d}Z {word}{text}\n".encode()


@lru_cache(maxsize=1024)
def _second(second: int) -> str:
    return (_EPOCH + timedelta(seconds=second)).isoformat()[:19]
