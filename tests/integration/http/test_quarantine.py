"""Keeping a device from being scored, as operators ask for it."""

from __future__ import annotations

import pytest

from tests.http_kit import OWN, World
from tocsin.access.principal import Role
from tocsin.control import Control, Quarantine, decode_control
from tocsin.log.abstract import RecordKind

pytestmark = pytest.mark.anyio


def decisions(world: World) -> list[Control]:
    return [
        decode_control(record.payload)
        for partition in range(world.log.partitions)
        for record in world.log.read(partition, 0)
        if record.kind is RecordKind.CONTROL
    ]


async def test_a_quarantine_is_a_decision_in_the_log(world: World) -> None:
    """Its beginning and its end are records of the device's partition, and entries of the audit log."""
    world.fleet.add(OWN, "pump-7")
    async with world.client(world.key(Role.OPERATOR)) as client:
        begun = await client.post("/v1/devices/pump-7/quarantine", json={"reason": "new sensor"})
        ended = await client.delete("/v1/devices/pump-7/quarantine")
    assert begun.json() == {"device": "pump-7", "quarantined": True}
    assert ended.json() == {"device": "pump-7", "quarantined": False}
    assert decisions(world) == [
        Quarantine(tenant=OWN, devices=("pump-7",), reason="new sensor"),
        Quarantine(tenant=OWN, devices=("pump-7",), reason="", released=True),
    ]
    noted = [stored.entry.action for stored in world.audit_log.entries(OWN, before=None, limit=10)]
    assert noted[:2] == ["device.release", "device.quarantine"]


async def test_a_device_that_nobody_knows_is_not_quarantined(world: World) -> None:
    """A mistyped name is told instead of being logged."""
    async with world.client(world.key(Role.OPERATOR)) as client:
        answer = await client.post("/v1/devices/pump-8/quarantine", json={"reason": "new sensor"})
    assert answer.status_code == 404
    assert decisions(world) == []


async def test_a_quarantine_needs_a_reason(world: World) -> None:
    """Whoever finds the device silent in a year wants to know why."""
    world.fleet.add(OWN, "pump-7")
    async with world.client(world.key(Role.OPERATOR)) as client:
        answer = await client.post("/v1/devices/pump-7/quarantine", json={"reason": ""})
    assert answer.status_code == 400
    assert decisions(world) == []
