"""A device in quarantine, through a real server: kept, not scored, and the same when derived again."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.kit import fleet
from tocsin.testing import Server

pytestmark = pytest.mark.long


def _send(server: Server, rows: list[Any]) -> None:
    events = [{"device": name, "ts": ts, **values} for name, ts, values in rows]
    assert _ask(server, "POST", "/v1/events", json.dumps(events))["accepted"] == len(events)


def _ask(server: Server, method: str, path: str, body: str = "") -> Any:
    connection = HTTPConnection("127.0.0.1", int(server.url.rsplit(":", 1)[1]), timeout=60)
    try:
        headers = {"Authorization": f"Bearer {server.key}", "Content-Type": "application/json"}
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        assert answer.status == 200
        return json.loads(answer.read())
    finally:
        connection.close()


def test_a_quarantined_device_is_kept_and_not_scored(tmp_path: Path) -> None:
    """From the request until its end, others go on; a replay of the lake and the log says the same."""
    rows = fleet(5, devices=2, steps=300)
    parts = [rows[at : at + 200] for at in range(0, 600, 200)]
    with Server(tmp_path / "data") as server:
        _send(server, parts[0])
        server.digest()
        _ask(server, "POST", "/v1/devices/pump-0/quarantine", '{"reason": "repair"}')
        _send(server, parts[1])
        scored = server.digest()["counts"]["scored"]
        assert _ask(server, "GET", "/v1/devices/pump-0")["quarantined"]
        assert not _ask(server, "GET", "/v1/devices/pump-1")["quarantined"]
        _ask(server, "DELETE", "/v1/devices/pump-0/quarantine")
        _send(server, parts[2])
        counts = server.digest()["counts"]
        assert not _ask(server, "GET", "/v1/devices/pump-0")["quarantined"]
        kept_apart = sum(len(values) for name, _, values in parts[1] if name == "pump-0")
        assert counts["unscored_quarantined"] == kept_apart > 0
        assert counts["scored"] - scored == sum(len(values) for _, _, values in parts[2])
        server.stop()
        server.run("replay", "--data", server.data)
