"""Many charts at once: each derives a device's whole past, which takes a thread and memory for long."""

from __future__ import annotations

import pytest

from tests.http_kit import World
from tests.share_kit import Held, check_share
from tocsin.access.principal import Role
from tocsin.services.series import CHARTS_MAX

pytestmark = pytest.mark.anyio

PATH = "/v1/devices/pump-7/series/temperature"


async def test_charts_of_a_tenant_leave_the_threads_to_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond a share they are refused, not kept waiting; later they are answered."""
    world.find_anomaly("pump-7")
    held = Held(monkeypatch, world.fleet, "band")
    async with world.client(world.key(Role.VIEWER)) as client:
        await check_share(lambda: client.get(PATH), held, CHARTS_MAX // 2)
