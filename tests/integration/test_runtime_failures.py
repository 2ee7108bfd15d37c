"""What the runtime does when a store under it refuses, breaks or is damaged."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

from tests.integration.test_recovery import NEVER, running, send, settled, stores_in
from tests.kit import START_MS, events_of
from tocsin.clock import ManualClock, SystemClock
from tocsin.control import Settings, SettingsChanged, decode_control
from tocsin.errors import BackpressureError, CorruptError, TocsinError
from tocsin.log.abstract import Append, RecordKind
from tocsin.observability.meters import Meters
from tocsin.runtimes.embedded.decisions import Decisions
from tocsin.runtimes.embedded.history import DeviceHistory
from tocsin.runtimes.embedded.recovery import recover
from tocsin.runtimes.embedded.runtime import Runtime, Stores
from tocsin.runtimes.embedded.worker import Worker


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_log_that_can_take_nothing_any_more_stops_the_runtime(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a Tocsin would say that it is ready and refuse every body."""

    def broken(_: object) -> None:
        raise RuntimeError("a bug")

    meters = Meters()
    with stores_in(tmp_path) as stores:
        runtime = Runtime(stores, lambda _: Settings(), lambda: ["t"], SystemClock(), meters, NEVER)
        runtime.start()
        monkeypatch.setattr(stores.log._catalogue, "add", broken)  # type: ignore[attr-defined]
        with pytest.raises(RuntimeError, match="a bug"):
            send(stores, events_of([("pump-7", START_MS, {"pressure": 1.0})]))
        while runtime.failure is None:
            time.sleep(0.01)
        runtime.stop()
    meters.close()
    assert isinstance(runtime.failure, TocsinError)
    assert "the log has stopped: RuntimeError('a bug')" in runtime.failure.detail


def test_settings_that_the_log_refused_are_logged_by_the_next_round(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full queue or disk puts them off for a partition; they are not forgotten, nor logged twice."""
    with stores_in(tmp_path) as stores:
        workers = _workers(stores)
        decisions = Decisions(
            stores.log, stores.lake, workers, lambda _: Settings(), lambda: ["t"], ManualClock(START_MS)
        )
        submit = stores.log.submit

        def refusing(append: Append) -> Any:
            if append.parts[0].partition == 1:
                raise BackpressureError("full")
            return submit(append)

        with monkeypatch.context() as full:
            full.setattr(stores.log, "submit", refusing)
            decisions.settings()
        assert _settings_logged(stores, 1) == 0
        decisions.settings()
        assert _settings_logged(stores, 1) == 1
        decisions.settings()
        assert _settings_logged(stores, 1) == 1


def test_a_damaged_file_of_checkpoints_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A damaged chunk is built again; where not even the file can be read, the start says which one it is."""
    with stores_in(tmp_path) as stores:

        def damaged() -> Any:
            raise CorruptError("checkpoints.db is damaged: database disk image is malformed")

        monkeypatch.setattr(stores.checkpoints, "read", damaged)
        with pytest.raises(CorruptError, match=r"checkpoints\.db is damaged"):
            recover(_workers(stores), stores.checkpoints, stores.findings)


def test_pages_of_devices_leave_none_out_whatever_their_names(tmp_path: Path) -> None:
    """NumPy takes a name for equal to the same one with NUL characters behind it."""
    names = ["a", "a\0", "a\0\0", "b"]
    with stores_in(tmp_path) as stores, running(stores, NEVER) as runtime:
        send(stores, events_of([(name, START_MS, {"pressure": 1.0}) for name in names]))
        settled(runtime)
        found: list[str] = []
        while page := runtime.views.devices("t", after=found[-1] if found else "", limit=1):
            found += [device.device for device in page]
    assert found == names


def _workers(stores: Stores) -> list[Worker]:
    history = DeviceHistory(stores.log, stores.lake)
    return [
        Worker(partition, stores.log, stores.lake, stores.commits, history)
        for partition in range(stores.log.partitions)
    ]


def _settings_logged(stores: Stores, partition: int) -> int:
    return sum(
        isinstance(decode_control(record.payload), SettingsChanged)
        for record in stores.log.read(partition, 0)
        if record.kind is RecordKind.CONTROL
    )
