"""Many charts at once: each derives a device's whole past, which takes a thread and memory for long."""

from __future__ import annotations

import threading
from typing import Any

import anyio
import anyio.to_thread
import pytest

from tests.http_kit import World
from tocsin.access.principal import Role
from tocsin.services.series import CHARTS_MAX, Band

pytestmark = pytest.mark.anyio

PATH = "/v1/devices/pump-7/series/temperature"


async def test_charts_of_a_tenant_leave_the_threads_to_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a share they are refused, not kept waiting; later they are answered."""
    world.find_anomaly("pump-7")
    going, end, band = threading.Semaphore(0), threading.Event(), world.fleet.band

    def long(*asked: Any) -> Band:
        going.release()
        end.wait(10)
        return band(*asked)

    monkeypatch.setattr(world.fleet, "band", long)
    answers: list[Any] = []
    async with world.client(world.key(Role.VIEWER)) as client:

        async def ask() -> None:
            answers.append(await client.get(PATH))

        async with anyio.create_task_group() as group:
            for _ in range(CHARTS_MAX // 2):
                group.start_soon(ask)
                await anyio.to_thread.run_sync(going.acquire)
            await ask()
            end.set()
        await ask()
    refused, *answered = answers
    assert (refused.status_code, refused.json()["code"]) == (503, "overloaded")
    assert int(refused.headers["Retry-After"]) > 0
    assert [each.status_code for each in answered] == [200] * (CHARTS_MAX // 2 + 1)
