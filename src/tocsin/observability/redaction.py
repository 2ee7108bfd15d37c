"""Keeps credentials out of what is logged."""

from __future__ import annotations

import re
from typing import Any, Final

_TOKEN: Final = re.compile(r"tcs_([0-9a-z]+)_[A-Za-z0-9_-]+")
_SECRET_KEY: Final = re.compile(r"authorization|cookie|password|secret|token|api_?key", re.IGNORECASE)
REDACTED: Final = "[redacted]"


def redact_text(text: str) -> str:
    """The text without secrets of tokens; the key id stays, so that people know which one it was.

    >>> redact_text("Bearer tcs_k7_Zm9vYmFy-_x failed")
    'Bearer tcs_k7_[redacted] failed'
    """
    return _TOKEN.sub(rf"tcs_\1_{REDACTED}", text)


def redact_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields without the values of those whose name says that they are secret."""
    return {key: REDACTED if _SECRET_KEY.search(key) else value for key, value in fields.items()}
