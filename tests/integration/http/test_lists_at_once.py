"""Many lists at once: one interpreter reads them all, so more threads would only be in each other's way."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import anyio
import pytest

from tests.http_kit import World
from tocsin.access.principal import Role
from tocsin.services.anomalies import LISTS_AT_ONCE

pytestmark = pytest.mark.anyio

ANNA = "6f9619ff-8b86-4011-b42d-00c04fc964ff"
ASKED = 5 * LISTS_AT_ONCE


class Busiest:
    """Does what a method does, slowly, and counts how many threads are in it."""

    def __init__(self, method: Callable[..., Any]) -> None:
        self._method = method
        self._lock = threading.Lock()
        self._now = 0
        self.most = 0

    def __call__(self, *given: Any) -> Any:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        time.sleep(0.02)
        try:
            return self._method(*given)
        finally:
            with self._lock:
                self._now -= 1


@pytest.mark.parametrize(
    ("path", "method"),
    [
        (f"/v1/technicians/{ANNA}/anomalies", "anomalies_of"),
        ("/v1/anomalies", "anomalies"),
    ],
)
async def test_few_lists_are_read_at_once_and_all_are_answered(
    world: World, monkeypatch: pytest.MonkeyPatch, path: str, method: str
) -> None:
    """Whoever comes while as many are read as may be waits, and gets the same."""
    world.find_anomaly("pump-7")
    world.responsible(ANNA, "pump-7")
    busiest = Busiest(getattr(world.inbox, method))
    monkeypatch.setattr(world.inbox, method, busiest)
    statuses: list[int] = []

    async with world.client(world.key(Role.VIEWER)) as client:

        async def ask() -> None:
            answer = await client.get(path)
            statuses.append(answer.status_code)
            assert [each["device"] for each in answer.json()["anomalies"]] == ["pump-7"]

        async with anyio.create_task_group() as group:
            for _ in range(ASKED):
                group.start_soon(ask)
    assert statuses == [200] * ASKED
    assert busiest.most == LISTS_AT_ONCE
