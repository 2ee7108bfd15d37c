"""Whose turn it is: a few requests of each tenant work at the same time, all others wait in fair order."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Final

from tocsin.fairness import TenantQueue

STRANGERS: Final = ""
"""The tenant of all whose credential is not known yet."""
_RECENT: Final = 256


@dataclass(frozen=True, slots=True)
class _Waiting:
    turn: asyncio.Future[None]
    weight: float


class Turnstile:
    """Of one tenant `alone` may work at once, of all 2 × `alone`; while others come too, it begins more only
    while what works has less than `shared` of weight.

    The event loop is first come, first served, and so is the interpreter's lock: whoever comes anew waits
    for all that works already. So little may work at once while there are several to wait. A tenant is alone
    when the last 256 that came were its own; strangers are no tenant in this. For one event loop.
    """

    def __init__(self, alone: int, shared: int) -> None:
        self._alone: Final = alone
        self._shared: Final = shared
        self._waiting = TenantQueue[_Waiting]()
        self._working = Counter[str]()
        self._weights: dict[str, float] = {}
        self._last = STRANGERS
        self._alike = 0  # how many came in a row that were of the tenant that came last

    def enter_now(self, tenant: str, weight: float = 1.0) -> bool:
        """Begin to work if nobody has to wait; else False."""
        self._note(tenant)
        self._let_in()
        if self._is_full() or not self._may_work(tenant):
            return False
        self.go_on(tenant, weight)
        return True

    async def enter(self, tenant: str, holder: str, weight: float = 1.0) -> None:
        """Wait for a turn and begin to work."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.put(tenant, holder, weight, _Waiting(turn, weight))
        self._let_in()
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():
                self.leave(tenant, weight)
            raise

    def go_on(self, tenant: str, weight: float = 1.0) -> None:
        """Work, out of turn, as after a pause: what is begun has to end."""
        self._working[tenant] += 1
        self._weights[tenant] = self._weights.get(tenant, 0.0) + weight

    def leave(self, tenant: str, weight: float = 1.0) -> None:
        """Work no more, for now or for good."""
        self._working[tenant] -= 1
        self._weights[tenant] -= weight
        if not self._working[tenant]:
            del self._working[tenant], self._weights[tenant]
        self._let_in()

    def _note(self, tenant: str) -> None:
        if tenant != STRANGERS:
            self._alike = self._alike + 1 if tenant == self._last else 0
            self._last = tenant

    def _may_work(self, tenant: str) -> bool:
        if self._alike >= _RECENT:
            return self._working[tenant] < self._alone
        return self._weights.get(tenant, 0.0) < self._shared

    def _is_full(self) -> bool:
        return self._working.total() >= 2 * self._alone

    def _let_in(self) -> None:
        while not self._is_full() and (found := self._waiting.take(self._may_work)) is not None:
            tenant, waiting = found
            if not waiting.turn.done():  # else whoever waited has gone
                self.go_on(tenant, waiting.weight)
                waiting.turn.set_result(None)
