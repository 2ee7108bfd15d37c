"""The client for service applications against a real server, and through its restart."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tocsin.bootstrap import Application
from tocsin.clock import SystemClock
from tocsin.config import Config
from tocsin.simulate.directory.mapping import SimulatedMapping
from tocsin.simulate.directory.server import SimulatedDirectoryServer
from tocsin.simulate.directory.service import SimulatedService
from tocsin.testing import free_port
from tocsin_client import ChangedError, RefusedError, Tocsin, UnavailableError, new_key

DEVICE = "pump 7/b"
PATIENCE_S = 120.0


@contextmanager
def running(data: Path, port: int, directory: str) -> Iterator[Application]:
    """A server at this port, with a directory; a hot reading is an anomaly at once."""
    config = Config.model_validate(
        {
            "data": data,
            "http": {"port": port},
            "log": {"partitions": 1},
            "directories": {"default": {"url": directory}},
            "watch": {
                "parameters": {"temperature": {"lower": 0, "upper": 100}},
                "policy": {"open_after_s": 0, "open_readings": 1},
            },
        }
    )
    application = Application(config)
    try:
        key = application.bootstrap_admin()
        if key is not None:
            (data.parent / "key").write_text(key)
        application.start()
        yield application
        assert application.failure is None
    finally:
        application.stop()


def wait_until(done: Callable[[], object]) -> None:
    end_s = time.monotonic() + PATIENCE_S
    while not done():
        assert time.monotonic() < end_s, "it did not come"
        time.sleep(0.1)


def heat(application: Application, key: str) -> None:
    """One reading that is far too high."""
    event = {"device": DEVICE, "ts": SystemClock().now_ms(), "temperature": 500.0}
    headers = {"Authorization": f"Bearer {key}"}
    url = f"{application.server.url}/v1/events"
    httpx.post(url, json=[event], headers=headers, timeout=60).raise_for_status()


@pytest.mark.long
def test_an_application_lists_acts_and_follows_through_a_restart(tmp_path: Path) -> None:
    """What it did is done once, who is too late hears why, and the stream goes on where it was."""
    mapping, port = SimulatedMapping([DEVICE], 1), free_port()
    (technician,) = mapping.technicians
    with SimulatedDirectoryServer(SimulatedService(mapping, SystemClock())) as directory:
        with running(tmp_path / "data", port, directory.url) as application:
            key = (tmp_path / "key").read_text()
            tocsin = Tocsin(application.server.url, key, patience_s=PATIENCE_S)
            heat(application, key)
            wait_until(lambda: tocsin.list_locations().locations and tocsin.list_anomalies().anomalies)
            (found,) = tocsin.anomalies_of(technician)
            look_around(tocsin, technician)
            events = tocsin.follow(found.updated_sequence, technician)
            act(tocsin, found.id, found.version)
            told = next(event for _, event in events if event is not None)
            assert (told.change.kind, told.anomaly.handling) == ("resolved", "resolved")
        with running(tmp_path / "data", port, directory.url):
            tocsin.act_on_anomaly(found.id, "comment", note="after the restart")
            kinds = (event.change.kind for _, event in events if event is not None)
            assert next(kind for kind in kinds if kind == "commented")
            assert not list(tocsin.anomalies_of(technician))
        impatient = Tocsin(f"http://127.0.0.1:{port}", key, patience_s=0.1)
        with pytest.raises(UnavailableError):
            impatient.read_me()


def look_around(tocsin: Tocsin, technician: str) -> None:
    """Each call that reads gives what it is typed as."""
    assert tocsin.read_me().roles == ("admin",)
    assert [each.device for each in tocsin.devices_of(technician)] == [DEVICE]
    (place,) = tocsin.list_locations().locations
    assert [each.technician for each in tocsin.list_location_devices(place.location).devices] == [technician]
    assert [each.device for each in tocsin.list_devices().devices] == [DEVICE]
    assert [each.id for each in tocsin.read_device(DEVICE).anomalies]
    assert [point.value for point in tocsin.read_series(DEVICE, "temperature").points] == [500.0]
    with pytest.raises(RefusedError, match="not_found"):
        tocsin.read_device("pump 7")


def act(tocsin: Tocsin, anomaly: str, version: int) -> None:
    """Twice with one key is once; with an old version it is refused, and says what came in between."""
    key = new_key()
    resolved = [
        tocsin.act_on_anomaly(anomaly, "resolve", note="fixed", if_match=version, idempotency_key=key)
        for _ in range(2)
    ]
    assert resolved[0] == resolved[1]
    with pytest.raises(ChangedError) as raised:
        tocsin.act_on_anomaly(anomaly, "reopen", if_match=version)
    assert raised.value.version == tocsin.read_anomaly(anomaly).version
    assert [(change.kind, change.detail) for change in raised.value.changes] == [("resolved", "fixed")]
    assert resolved[0].action is not None
    undone = tocsin.undo_action(resolved[0].action)
    assert [each.id for each in undone.done] == [anomaly]
    assert tocsin.read_anomaly(anomaly).handling == "open"
    tocsin.act_on_anomaly(anomaly, "resolve", if_match=tocsin.read_anomaly(anomaly).version)
    assert {change.kind for change in tocsin.read_history(anomaly).changes} >= {
        "opened",
        "resolved",
        "undone",
    }


@pytest.mark.long
def test_an_application_has_a_device_in_maintenance(tmp_path: Path) -> None:
    """Begun, changed by its version, ended; who is too late hears so, and a retry makes no second one."""
    service = SimulatedService(SimulatedMapping([DEVICE], 1), SystemClock())
    with (
        SimulatedDirectoryServer(service) as directory,
        running(tmp_path / "data", free_port(), directory.url) as application,
    ):
        key = (tmp_path / "key").read_text()
        heat(application, key)
        with Tocsin(application.server.url, key) as tocsin:
            wait_until(lambda: tocsin.list_devices().devices)
            maintain(tocsin)


def maintain(tocsin: Tocsin) -> None:
    now_ms, once = SystemClock().now_ms(), new_key()
    made, again = (
        tocsin.begin_maintenance(
            device=DEVICE,
            from_=str(now_ms),
            to=str(now_ms + 3_600_000),
            no_learn=True,
            idempotency_key=once,
        )
        for _ in range(2)
    )
    assert again.id == made.id
    changed = tocsin.change_maintenance(made.id, why="oil", if_match=made.version)
    assert (changed.why, changed.no_alert, changed.no_learn) == ("oil", True, True)
    with pytest.raises(ChangedError):
        tocsin.end_maintenance(made.id, if_match=made.version)
    assert tocsin.end_maintenance(made.id, if_match=changed.version).state == "over"
    assert [each.id for each in tocsin.list_windows().windows] == [made.id]
    assert tocsin.read_window(made.id).ended_at is not None
