"""Which answers are worth another try, and how long a server asks to wait."""

from __future__ import annotations

from typing import Final

import httpx

TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504, 507})
_RETRY_AFTER_S_MAX: Final = 300.0


def retry_after_s(response: httpx.Response) -> float:
    """Seconds that the server asks to wait; 0 if it says nothing or names a date."""
    text = response.headers.get("Retry-After", "")
    return min(float(text), _RETRY_AFTER_S_MAX) if text.isdigit() else 0.0


def refusal_of(response: httpx.Response) -> tuple[str, str]:
    """Code and detail of a problem, or what the status says by itself."""
    try:
        answer = response.json()
    except ValueError:
        answer = {}
    if not isinstance(answer, dict):
        answer = {}
    return str(answer.get("code", "refused")), str(answer.get("detail", response.reason_phrase))
