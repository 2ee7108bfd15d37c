"""Queues that are fair: whoever fills one makes himself wait, and nobody else."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from typing import Final, Generic, TypeVar

Item = TypeVar("Item")
Allowed = Callable[[str], bool]
_FORGOTTEN_MIN: Final = 64


class FairQueue(Generic[Item]):
    """Holders take turns in proportion to cost; each holder's own items stay in order. Not thread-safe.

    Start-time fair queueing (Goyal, Vin and Cheng, IEEE/ACM Transactions on Networking 5(5), 1997): an item
    starts at the later of the virtual time, which is the start of the item taken last, and the end of its
    holder's item before, which is that one's start plus its cost; the earliest start is taken first. So
    a holder who comes anew waits for no more than the item that is next. Putting and taking cost some
    microseconds, and what `allowed` passes over as much again.

    >>> queue = FairQueue[str]()
    >>> for number in range(3): queue.put("greedy", 1, f"g{number}")
    >>> queue.take(), queue.put("modest", 1, "m"), queue.take(), queue.take(), queue.take(), queue.take()
    ('g0', None, 'm', 'g1', 'g2', None)
    """

    def __init__(self) -> None:
        self._waiting: dict[str, deque[tuple[float, Item]]] = {}
        self._next: list[tuple[float, int, str]] = []  # a heap: each holder's next start, numbered
        self._ends: dict[str, float] = {}  # of each holder's last item; kept while it lies ahead
        self._forget_at = _FORGOTTEN_MIN
        self._reached = 0.0
        self._numbers = count()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, holder: str, cost: float, item: Item) -> None:
        """Queue an item; `cost` above 0, in whatever unit all of them are."""
        if holder not in self._waiting:
            self._waiting[holder] = deque()
            self._line_up(holder, max(self._ends.get(holder, 0.0), self._reached))
        self._waiting[holder].append((cost, item))
        self._count += 1

    def take(self, allowed: Allowed | None = None) -> Item | None:
        """The item whose turn it is, among those of holders who are allowed; None if there is none."""
        found = self._first(allowed)
        if found is None:
            return None
        start, _, holder = found
        waiting = self._waiting[holder]
        cost, item = waiting.popleft()
        self._reached = max(self._reached, start)
        self._ends[holder] = start + cost
        self._count -= 1
        if waiting:
            self._line_up(holder, start + cost)
        else:
            del self._waiting[holder]
            self._forget()
        return item

    def _line_up(self, holder: str, start: float) -> None:
        heappush(self._next, (start, next(self._numbers), holder))

    def _first(self, allowed: Allowed | None) -> tuple[float, int, str] | None:
        """Take the earliest of the holders who are allowed out of the heap."""
        passed = []
        found = None
        while self._next and found is None:
            first = heappop(self._next)
            if allowed is None or allowed(first[2]):
                found = first
            else:
                passed.append(first)
        for each in passed:
            heappush(self._next, each)
        return found

    def _forget(self) -> None:
        """Let go of holders whose past no longer matters, now and then."""
        if not self._waiting:
            self._ends.clear()
            self._reached = 0.0
        elif len(self._ends) > self._forget_at:
            self._ends = {holder: end for holder, end in self._ends.items() if end > self._reached}
            self._forget_at = 2 * len(self._ends) + _FORGOTTEN_MIN


class TenantQueue(Generic[Item]):
    """Fair between tenants, and for each tenant between its holders. Not thread-safe."""

    def __init__(self) -> None:
        self._tenants = FairQueue[str]()
        self._holders: dict[str, FairQueue[Item]] = {}

    def __len__(self) -> int:
        return len(self._tenants)

    def put(self, tenant: str, holder: str, cost: float, item: Item) -> None:
        """Queue an item; `cost` above 0, in whatever unit all of them are."""
        self._tenants.put(tenant, cost, tenant)
        self._holders.setdefault(tenant, FairQueue()).put(holder, cost, item)

    def take(self, allowed: Allowed | None = None) -> tuple[str, Item] | None:
        """The item whose turn it is with its tenant, among those of tenants who are allowed."""
        tenant = self._tenants.take(allowed)
        if tenant is None:
            return None
        waiting = self._holders[tenant]
        if len(waiting) == 1:
            del self._holders[tenant]
        item = waiting.take()
        return None if item is None else (tenant, item)  # never None: it has as many as its tenant has turns
