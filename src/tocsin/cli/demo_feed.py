"""The simulated fleet of the demo: sends its history and then the present, and remembers how far it came."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import msgspec

from tocsin.cli.demo_keys import DemoKeys
from tocsin.cli.demo_story import load_story, save_story
from tocsin.client import Destination, EventSender
from tocsin.simulate.fleet import Fleet
from tocsin.simulate.live import LiveFleet

if TYPE_CHECKING:
    from tocsin.bootstrap import Application
    from tocsin.events import EventBatch

_SAVE_EVERY_MS: Final = 10_000
_UNCERTAIN_MS: Final = 60_000  # what may be on its way while the process is killed; sent again it is a repeat


class Story(msgspec.Struct, frozen=True):
    """Everything needed to go on with the same fleet: its description, its first moment, how far it came."""

    fleet: Fleet
    days: float
    first_ms: int
    sent_ms: int = 0


class DemoFeed:
    """Feeds a running application over HTTP from a thread of its own; leaving the context ends it.

    Makes a gateway token and a key to sign in with.
    """

    def __init__(self, application: Application, *, stations: int, days: float) -> None:
        self._application = application
        self._path: Final = application.config.data / "demo.json"
        self._story = load_story(self._path, Story) or Story(
            Fleet(stations=stations), days, application.clock.now_ms()
        )
        self._live = LiveFleet(self._story.fleet, self._story.first_ms, days=self._story.days)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demo", daemon=True)
        self._keys: Final = DemoKeys(application)
        self._token: Final = self._keys.sender("demo fleet")
        self.viewer_token: Final = self._keys.visitor("demo page")
        self._given_ms = 0
        self.acknowledged = 0
        self.history_sent = False
        self.failure: BaseException | None = None
        since_ms = self._story.sent_ms or self._live.start_ms
        now_ms = application.clock.now_ms()
        self.history_events: Final = self._story.fleet.stations * (now_ms - since_ms) // 60_000

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._keys.revoke()

    def _run(self) -> None:
        """History through several connections, then the present through one, until stopped."""
        try:
            until_ms = self._application.clock.now_ms()
            # Written first, so that a run that is cut off goes on with this fleet and not with another.
            self._save(self._story.sent_ms)
            for _ in self._live.until(self._story.sent_ms):
                pass  # sent by an earlier run
            self._sender(connections=2).send(self._until(until_ms))
            if self._stop.is_set():
                return
            self._save(until_ms)
            self.history_sent = True
            self._sender(connections=1).send(self._present())
            self._save(self._given_ms)
        except Exception as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self.failure = error

    def _until(self, until_ms: int) -> Iterator[EventBatch]:
        for piece in self._live.until(until_ms, events=20_000):
            if self._stop.is_set():
                return
            yield piece.batch

    def _present(self) -> Iterator[EventBatch]:
        clock = self._application.clock
        while not self._stop.wait(0.5):
            self._given_ms = clock.now_ms()
            yield from (piece.batch for piece in self._live.until(self._given_ms))
            if self._given_ms - _UNCERTAIN_MS > self._story.sent_ms + _SAVE_EVERY_MS:
                self._save(self._given_ms - _UNCERTAIN_MS)

    def _sender(self, *, connections: int) -> EventSender:
        destination = Destination(url=self._application.server.url, token=self._token)
        return EventSender(destination, connections=connections, on_acknowledged=self._count)

    def _count(self, events: int) -> None:
        self.acknowledged += events

    def _save(self, sent_ms: int) -> None:
        self._story = msgspec.structs.replace(self._story, sent_ms=sent_ms)
        save_story(self._path, self._story)
