"""`tocsin lake repair` and what it rests on: lost rows come back exactly, or nothing is changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.http_kit import event, lines
from tests.integration.test_damaged_lake import flip
from tests.lake_kit import NOW_MS, Row, events, open_lake, steady
from tocsin.bootstrap import Application
from tocsin.cli.app import main
from tocsin.cli.opened import wait_until_caught_up
from tocsin.clock import ManualClock
from tocsin.config import load_config
from tocsin.control import Tick, encode_control
from tocsin.lake.compaction import CompactionPolicy, compact
from tocsin.lake.delta import DeltaLake
from tocsin.lake.files import LakeFile
from tocsin.lake.quarantine import quarantined
from tocsin.lake.query import query
from tocsin.lake.repairing import Repaired, repair
from tocsin.lake.writer import FlushPolicy, LakeWriter
from tocsin.log.abstract import Append, Part, RecordKind
from tocsin.log.embedded import EmbeddedLog
from tocsin.payloads import encode_events
from tocsin.services.ingest import Delivery

DAY_MS = 86_400_000
EVERYTHING = "FROM events ORDER BY log_partition, log_offset"
HOURLY = "FROM hours ORDER BY device, parameter, hour"


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    log = EmbeddedLog(tmp_path / "log", 2, ManualClock(NOW_MS), segment_bytes_max=20_000)
    yield log
    log.close()


@pytest.fixture
def lake(tmp_path: Path, log: EmbeddedLog) -> Iterator[DeltaLake]:
    """Events of two tenants, partitions and days, and decisions; taken in by four appends."""
    lake = open_lake(tmp_path / "lake")
    for number in range(4):
        for tenant, partition in (("acme", 0), ("acme", 1), ("umbrella", 1)):
            rows: list[Row] = steady(10, start_ms=NOW_MS - number * 3_600_000)
            accept(log, tenant, partition, rows + steady(5, start_ms=NOW_MS - DAY_MS + number))
        tick = Part(0, RecordKind.CONTROL, 1, encode_control(Tick(now_ms=NOW_MS + number)))
        log.submit(Append("acme", NOW_MS, [tick])).result(10)
        LakeWriter(lake, log, FlushPolicy()).run_once(NOW_MS, force=True)
    yield lake
    lake.close()


def accept(log: EmbeddedLog, tenant: str, partition: int, rows: list[Row]) -> None:
    part = Part(partition, RecordKind.EVENTS, len(rows), encode_events(events(rows)))
    log.submit(Append(tenant, NOW_MS, [part])).result(10)


def asked(lake: DeltaLake, sql: str) -> list[Any]:
    found: list[Any] = query(f"SELECT * {sql}", lake=lake, log=None, tenant="acme").to_pylist()
    return found


def damage(lake: DeltaLake, table: str, *numbers: int) -> list[LakeFile]:
    """Flip a bit in these of the tenant's files of a table."""
    own = lake.snapshot().of(table, "acme")
    for number in numbers:
        flip(lake.snapshot().path(table, own[number]), 100)
    return [own[number] for number in numbers]


def repaired(lake: DeltaLake, log: EmbeddedLog) -> dict[str, Repaired]:
    return {step.damage.path: step for step in repair(lake.store, log)}


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize(("table", "sql"), [("events", EVERYTHING), ("control", "FROM control ORDER BY ALL")])
def test_rows_come_back_from_the_log(
    lake: DeltaLake, log: EmbeddedLog, table: str, sql: str, compacted: bool
) -> None:
    """Those of several files among which others lie, those of merged ones, and none of other tenants."""
    if compacted:
        list(compact(lake.store, CompactionPolicy(files_min=2)))
        accept(log, "acme", 0, steady(5))
        LakeWriter(lake, log).run_once(NOW_MS, force=True)
    before, hours = asked(lake, sql), asked(lake, HOURLY)
    umbrella = lake.snapshot().of(table, "umbrella")
    lost = damage(lake, table, *((0,) if compacted else (0, 2)))
    bytes_of = {entry.path: lake.snapshot().path(table, entry).read_bytes() for entry in lost}
    done = repaired(lake, log)
    assert {path: step.source for path, step in done.items()} == {entry.path: "the log" for entry in lost}
    assert asked(lake, sql) == before
    assert asked(lake, HOURLY) == hours
    assert lake.snapshot().of(table, "umbrella") == umbrella
    assert quarantined(lake.store.folder) == []
    for path, content in bytes_of.items():
        assert (lake.store.folder / "quarantine" / table / path).read_bytes() == content
    assert repaired(lake, log) == {}


def test_what_the_log_has_no_more_is_left_and_named(lake: DeltaLake, log: EmbeddedLog) -> None:
    """A file that the log can't make whole again stays as it is, and so do the hours that hang on it."""
    while log.begin(0) == 0:
        accept(log, "acme", 0, steady(500))
        LakeWriter(lake, log).run_once(NOW_MS, force=True)
        log.trim(dict(lake.positions()))
    before = lake.snapshot().files
    lost = {entry.path for entry in (*damage(lake, "events", 0), *damage(lake, "hours", 0))}
    done = repaired(lake, log)
    assert set(done) == lost == {found.path for found in quarantined(lake.store.folder)}
    for path, step in done.items():
        assert not step.source
        assert "backup" in step.remedy
        assert path in step.damage.path
    assert lake.snapshot().files == before


def test_hours_come_back_from_the_events(lake: DeltaLake, log: EmbeddedLog) -> None:
    """All of the tenant's, as the next revision; those of other tenants stay."""
    before = [{**row, "revision": 1} for row in asked(lake, HOURLY)]
    umbrella = lake.snapshot().of("hours", "umbrella")
    damage(lake, "hours", 1)
    assert [step.source for step in repaired(lake, log).values()] == ["the events"]
    assert [{**row, "revision": 1} for row in asked(lake, HOURLY)] == before
    assert lake.snapshot().of("hours", "umbrella") == umbrella


def test_damaged_events_and_hours_come_back_together(lake: DeltaLake, log: EmbeddedLog) -> None:
    """The events first, then the hours from them."""
    before = asked(lake, EVERYTHING)
    damage(lake, "hours", 0)
    damage(lake, "events", 0, 1)
    assert sorted(step.source for step in repaired(lake, log).values()) == ["the events", *["the log"] * 2]
    assert asked(lake, EVERYTHING) == before


def test_the_command_repairs_a_folder(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Doctor names the file and the command; the command rebuilds it; then doctor is content."""
    folder = tmp_path / "data"
    application = Application(load_config(None).model_copy(update={"data": folder}))
    principal = application.access.authenticate(str(application.bootstrap_admin()))
    application.runtime.start()
    body = lines(*(event(minute=minute) for minute in range(5)))
    application.services.ingest.deliver_now(principal, Delivery(body=body))
    wait_until_caught_up(application)
    LakeWriter(application.lake, application.log).run_once(NOW_MS, force=True)
    application.stop()
    path = next((folder / "lake" / "events").glob("**/*.parquet"))
    flip(path, 100)
    assert main(["doctor", "--data", str(folder)]) == 1
    assert "tocsin lake repair" in capfd.readouterr().out
    counted = ["query", "SELECT count(*) AS n FROM events", "--data", str(folder), "--json"]
    assert main(counted) != 0
    assert path.name in capfd.readouterr().err
    assert main([*counted, "--skip-damaged"]) == 0
    assert json.loads(capfd.readouterr().out.splitlines()[-1])["rows"] == [[0]]
    out = str(tmp_path / "events.csv")
    exported = ["lake", "export", "--data", str(folder), "--sql", "SELECT * FROM events", "--out", out]
    assert main(exported) != 0
    assert main([*exported, "--skip-damaged"]) == 0
    capfd.readouterr()
    assert main(["lake", "repair", "--data", str(folder), "--json"]) == 0
    told = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert [(file["table"], file["rebuilt_from"]) for file in told["files"]] == [("events", "the log")]
    assert main(["doctor", "--data", str(folder)]) == 0
    assert main(["lake", "repair", "--data", str(folder)]) == 0
