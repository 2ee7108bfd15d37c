"""Changes of anomalies as they happen, for live views."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextvars import Context
from typing import Final

from tocsin.access.shares import TENANT_RATIO, Shares
from tocsin.errors import BackpressureError, RateLimitedError
from tocsin.inbox.abstract import AnomalyQuery, Change, Inbox

PAGE_MAX: Final = 100
_RETRY_AFTER_S: Final = 5
Read = Callable[[int, int], list[Change]]
"""Changes above a sequence, ascending, at most so many; blocks."""


class ChangeStream:
    """Follows the inbox's ordered log for up to `listeners_max` listeners, shared fairly between tenants.

    A listener keeps nothing but the sequence it has reached and reads the log a page at a time, so a
    slow one costs no memory and misses nothing. One look at the log per `poll_s` serves all listeners.
    Must be used from one event loop.
    """

    def __init__(self, inbox: Inbox, *, listeners_max: int, poll_s: float = 0.25) -> None:
        self._inbox = inbox
        self._places = Shares(listeners_max, TENANT_RATIO)
        self._poll_s = poll_s
        self._changed = asyncio.Event()
        self._watcher: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return self._places.held

    def newest(self, tenant: str) -> int:
        """The sequence of the tenant's newest change, 0 if there is none; blocks."""
        newest = self._inbox.anomalies(AnomalyQuery(tenant, limit=1))
        return newest[0].updated_sequence if newest else 0

    def enter(self, tenant: str) -> None:
        """Take a listener's place.

        BackpressureError when none is left, RateLimitedError when one more is over the tenant's share.
        """
        if self._closed or self._places.full():
            raise BackpressureError("All places for live views are taken.", retry_after_s=_RETRY_AFTER_S)
        if not self._places.take(tenant):
            detail = "Your live views have their share of the places: others need room too."
            raise RateLimitedError(detail, retry_after_s=_RETRY_AFTER_S)

    def leave(self, tenant: str) -> None:
        """Give the place back."""
        self._places.give_back(tenant)
        if not self._places.held and self._watcher is not None:
            self._watcher.cancel()
            self._watcher = None

    async def follow(self, read: Read, after: int, *, idle_s: float) -> AsyncIterator[list[Change]]:
        """Pages that `read` finds above `after`, and an empty page after `idle_s` without any.

        `read` is asked whenever anything changes, so what it leaves out shows in nothing, not even in when an
        empty page comes. Raises what `read` raises; ends when the stream is closed. Call `enter` before and
        `leave` after. `after` is what the client says; one that is ahead of the log, as after a restored
        backup, would miss what comes next and, since all share one look at the log, let the others miss it.
        """
        after = min(after, await asyncio.to_thread(self._inbox.last_change))
        told_s = self._now_s()
        while not self._closed:
            changed = self._changed
            newest = await asyncio.to_thread(self._inbox.last_change)
            page = await asyncio.to_thread(read, after, PAGE_MAX)
            if page:
                after = page[-1].sequence
                yield page
                told_s = self._now_s()
                continue
            after = max(after, newest)
            left_s = told_s + idle_s - self._now_s()
            if left_s <= 0 or not await self._wait(changed, after, left_s):
                yield []
                told_s = self._now_s()

    def close(self) -> None:
        """End all listeners; idempotent."""
        self._closed = True
        self._wake()

    @staticmethod
    def _now_s() -> float:
        return asyncio.get_running_loop().time()

    async def _wait(self, changed: asyncio.Event, after: int, timeout_s: float) -> bool:
        if self._watcher is None or self._watcher.done():
            # in a context of its own: it serves all listeners, and belongs to no one's trace
            self._watcher = asyncio.create_task(self._watch(after), context=Context())
        try:
            async with asyncio.timeout(timeout_s):
                await changed.wait()
        except TimeoutError:
            return False
        return True

    async def _watch(self, after: int) -> None:
        while not self._closed:
            page = await asyncio.to_thread(self._inbox.changes, after, limit=1000)
            if page:
                after = page[-1].sequence
                self._wake()
            else:
                await asyncio.sleep(self._poll_s)

    def _wake(self) -> None:
        woken, self._changed = self._changed, asyncio.Event()
        woken.set()
