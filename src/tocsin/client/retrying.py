"""Which answers are worth another try, how long to wait before it, and when to give up."""

from __future__ import annotations

import random
from typing import Any, Final

import httpx

from tocsin.client.destination import Backoff, UnavailableError
from tocsin.clock import Clock

TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504, 507})
_RETRY_AFTER_S_MAX: Final = 300.0
_REMEDIES: Final = (
    ("certificate has expired", "have its certificate renewed"),
    ("certificate is not valid for", "name it as its certificate does"),
    ("CERTIFICATE_VERIFY_FAILED", "name the certificate of whoever vouches for it with --ca-file"),
    ("WRONG_VERSION_NUMBER", "it speaks no TLS: write its address with http://"),
    ("illegal request line", "it does not answer in HTTP: if it speaks TLS, write its address with https://"),
)


def remedy_of(error: httpx.TransportError) -> str:
    """What to do where no other try can succeed: a wrong address or certificate. Else empty."""
    said = str(error)
    return next((remedy for mark, remedy in _REMEDIES if mark in said), "")


def unreached(url: str, error: httpx.TransportError) -> str:
    """Which server could not be reached, and why; UnavailableError with the remedy if it never can be.

    >>> unreached("http://127.0.0.1:9", httpx.ConnectError("[Errno 111] Connection refused"))
    "http://127.0.0.1:9 can't be reached ([Errno 111] Connection refused)"
    """
    reason = f"{url} can't be reached ({str(error) or type(error).__name__})"
    if remedy := remedy_of(error):
        raise UnavailableError(f"{reason}: {remedy}") from error
    return reason


def retry_after_s(response: httpx.Response) -> float:
    """Seconds that the server asks to wait; 0 if it says nothing or names a date."""
    text = response.headers.get("Retry-After", "")
    return min(float(text), _RETRY_AFTER_S_MAX) if text.isdigit() else 0.0


def object_of(response: httpx.Response) -> dict[str, Any]:
    """The JSON object that was answered; empty if it was none."""
    try:
        answer = response.json()
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def refusal_of(response: httpx.Response) -> tuple[str, str]:
    """Code and detail of a problem, or what the status says by itself."""
    answer = object_of(response)
    return str(answer.get("code", "refused")), str(answer.get("detail", response.reason_phrase))


class Patience:
    """Counts how long one request has been tried in vain.

    Pauses count and so do the tries, since a server that takes requests and answers none costs a timeout
    each; but not the time in which it took bytes, which may rightly be an hour for a large body.
    """

    def __init__(self, url: str, backoff: Backoff, rng: random.Random, clock: Clock) -> None:
        self._url = url
        self._backoff = backoff
        self._rng = rng
        self._clock = clock
        self._moved_s = clock.monotonic_s()
        self._vain_s = 0.0
        self.tries = 0

    def advance(self) -> None:
        """A try has brought what it need not bring again: count from here."""
        self._vain_s = 0.0
        self.tries = 0

    def move(self) -> None:
        """A try begins, or the server has taken some bytes."""
        self._moved_s = self._clock.monotonic_s()

    def pause_s(self, reason: str, retry_after_s: float) -> float:
        """How long to wait after a try that failed; UnavailableError once that would be too long."""
        self.tries += 1
        pause_s = self._backoff.pause_s(self.tries, retry_after_s, self._rng)
        self._vain_s += self._clock.monotonic_s() - self._moved_s + pause_s
        if self._vain_s > self._backoff.give_up_s:
            why = reason.removeprefix(self._url).lstrip()
            raise UnavailableError(f"gave up on {self._url} after {self.tries} tries: {why}")
        return pause_s
