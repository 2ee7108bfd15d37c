"""The client: the calls of the description, and what takes several of them."""

from __future__ import annotations

from collections.abc import Iterator
from http import HTTPStatus
from typing import Final

import httpx
import msgspec

from tocsin_client.models import Anomaly, Change, Ownership
from tocsin_client.operations import Operations
from tocsin_client.stream import Happened, Sent, events_of
from tocsin_client.transport import Waiting, foreign, refusal_of, retry_after_s

_PAGE: Final = 200
_EVENTS: Final = "text/event-stream"
_COME_BACK: Final = frozenset({408, 429, 502, 503, 504})


class Tocsin(Operations):
    """Every method of `Operations`, and lists as a whole, changes and events one after another."""

    def anomalies_of(self, technician: str) -> Iterator[Anomaly]:
        """What is unresolved at the technician's devices, newest change first, page by page."""
        cursor: str | None = None
        while True:
            page = self.list_technician_anomalies(technician, cursor=cursor, limit=_PAGE)
            yield from page.anomalies
            if (cursor := page.next) is None:
                return

    def devices_of(self, technician: str) -> Iterator[Ownership]:
        """The technician's devices by name, page by page."""
        cursor: str | None = None
        while True:
            page = self.list_technician_devices(technician, cursor=cursor, limit=_PAGE)
            yield from page.devices
            if (cursor := page.next) is None:
                return

    def changes_of(self, technician: str, after: int) -> Iterator[tuple[int, list[Change]]]:
        """What happened after a sequence, up to now: page by page, each with where to go on after it."""
        while True:
            page = self.list_technician_changes(technician, after=after, limit=_PAGE)
            if page.last == after:
                return
            after = page.last
            yield after, list(page.changes)

    def follow(self, after: int, technician: str | None = None) -> Iterator[tuple[int, Happened | None]]:
        """What happens after a sequence, without an end: where to go on after it, and what it was.

        `after` is the greatest `updated_sequence` of a list. None where something happened that is not this
        technician's. Cuts are mended, nothing is missed and nothing comes twice; RefusedError when the server
        lets this listener in no more, UnavailableError when it is away for longer than the patience.
        """
        waiting = self._waiting()
        while True:
            begun, why, after_s = False, "the stream ended", 0.0
            cause: Exception | None = None
            try:
                with self._listening("/v1/stream", {"technician": technician}, str(after)) as response:
                    if response.status_code in _COME_BACK:
                        why, after_s = f"the server answered {response.status_code}", retry_after_s(response)
                    elif response.status_code != HTTPStatus.OK:
                        raise refusal_of(response)
                    elif not response.headers.get("Content-Type", "").startswith(_EVENTS):
                        raise foreign(response)
                    else:
                        begun = True
                        for sent in events_of(response.iter_lines()):
                            after = int(sent.id or after)
                            yield after, _told(sent)
            except httpx.TransportError as error:
                why, cause = str(error) or type(error).__name__, error
            if begun:  # the patience is with what comes now, however long it was listened
                waiting = self._waiting()
            waiting.pause(why, cause, after_s=after_s)

    def _waiting(self) -> Waiting:
        return Waiting(self._patience_s, self._sleep, self._rng)


def _told(sent: Sent) -> Happened | None:
    return msgspec.json.decode(sent.data, type=Happened) if sent.name == "anomaly" else None
