"""SQL over lake and log: what it sees at once, and what it can never reach."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tests.lake_kit import NOW_MS, events, open_lake, record, steady
from tocsin.clock import ManualClock
from tocsin.control import Tick, encode_control
from tocsin.errors import BackpressureError, CorruptError, InvalidInputError, TooLargeError
from tocsin.events import EventBatch
from tocsin.lake.delta import DeltaLake
from tocsin.lake.query import query, room_of, whole_result
from tocsin.lake.room import VIEWS, QueryLimits, locked_engine
from tocsin.lake.statements import only_select
from tocsin.lake.tables import append_parts, append_table
from tocsin.lake.upkeep import check, write_down
from tocsin.lake.writer import FlushPolicy, LakeWriter
from tocsin.log.abstract import Append, Part, Record, RecordKind
from tocsin.log.embedded import EmbeddedLog
from tocsin.payloads import encode_events


@pytest.fixture
def log(tmp_path: Path) -> Iterator[EmbeddedLog]:
    """An empty log of two partitions."""
    log = EmbeddedLog(tmp_path / "log", 2, ManualClock(NOW_MS))
    yield log
    log.close()


@pytest.fixture
def lake(tmp_path: Path) -> Iterator[DeltaLake]:
    """An empty lake."""
    lake = open_lake(tmp_path / "lake")
    yield lake
    lake.close()


def accept(log: EmbeddedLog, batch: EventBatch, tenant: str = "acme", partition: int = 0) -> None:
    """Put a batch into the log, as ingest does."""
    part = Part(partition, RecordKind.EVENTS, len(batch), encode_events(batch))
    log.submit(Append(tenant, NOW_MS, [part])).result(10)


def scalar(sql: str, lake: DeltaLake, log: EmbeddedLog | None = None, tenant: str = "acme") -> object:
    """The one value of a query."""
    return query(sql, lake=lake, log=log, tenant=tenant).column(0)[0].as_py()


def test_accepted_records_are_visible_at_once(lake: DeltaLake, log: EmbeddedLog) -> None:
    """Every view counts what only the log holds, and counts it once when the lake has it too."""
    accept(log, events(steady(5)))
    accept(log, events(steady(4), [("fans", "")]), partition=1)
    tick = Part(0, RecordKind.CONTROL, 1, encode_control(Tick(now_ms=NOW_MS)))
    log.submit(Append("acme", NOW_MS, [tick])).result(10)
    for _ in range(2):
        assert scalar("SELECT count(*) FROM events", lake, log) == 9
        assert scalar("SELECT count(*) FROM readings WHERE parameter = 't'", lake, log) == 9
        assert scalar('SELECT sum("count") FROM hours', lake, log) == 18
        assert (
            scalar("SELECT count(*) FROM events WHERE application = 'fans' AND version = ''", lake, log) == 4
        )
        assert scalar("SELECT string_agg(type) FROM control", lake, log) == "tick"
        assert (
            scalar("SELECT readings['t'] FROM events WHERE log_offset = 3 AND log_partition = 0", lake, log)
            == 0.75
        )
        LakeWriter(lake, log).run_once(NOW_MS, force=True)
    assert dict(lake.positions()) == {0: 6, 1: 4}


def test_tenants_see_only_their_rows(lake: DeltaLake, log: EmbeddedLog) -> None:
    """No view shows a row of another tenant, from the lake or from the log."""
    accept(log, events(steady(5)), "acme")
    accept(log, events(steady(6)), "other")
    row = {"tenant": ["acme", "other"], "recorded": [NOW_MS] * 2, "name": ["mean"] * 2, "value": [1.0, 2.0]}
    names = {name: ["x", "x"] for name in ("application", "device", "parameter", "detector")}
    models = pa.table({**row, **names, "hour_of_week": [0, 1]})
    models = models.set_column(1, "recorded", models.column("recorded").cast(pa.timestamp("ms", "UTC")))
    append_table(lake.store, "models", models, writer="cells", version=1)
    for _ in range(2):
        for view in ("events", "readings", "hours", "days", "models", "scores", "episodes", "dead_letters"):
            others = f"SELECT count(*) FROM {view} WHERE tenant <> 'acme'"  # noqa: S608
            assert scalar(others, lake, log) == 0
        assert scalar("SELECT count(*) FROM events", lake, log) == 5
        assert scalar("SELECT value FROM models", lake, log) == 1.0
        assert scalar("SELECT count(*) FROM events", lake, log, "nobody") == 0
        LakeWriter(lake, log).run_once(NOW_MS, force=True)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM read_text('/etc/hostname')",
        "SELECT * FROM read_csv('{folder}/secret.csv')",
        "SELECT * FROM '{folder}/secret.csv'",
        "SELECT * FROM read_parquet('{foreign}')",
        "SELECT * FROM parquet_metadata('{foreign}')",
        "SELECT * FROM glob('{folder}/*')",
        "SELECT * FROM read_csv('https://example.com/x.csv')",
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "SELECT 1; SELECT 2",
        "SET enable_external_access = true",
        "ATTACH '{folder}/x.db'",
        "INSTALL httpfs",
        "CREATE TABLE t AS SELECT 1",
        "DROP VIEW events",
        "PRAGMA database_list",
        "CALL pragma_version()",
        "SELECT lake",
        "SELECT * FROM models_of_python",
        "",
        "SELEC 1",
    ],
)
def test_nothing_but_one_select_on_views(lake: DeltaLake, tmp_path: Path, sql: str) -> None:
    """Files, the network, settings, other tenants' files and anything that is not one SELECT are refused."""
    (tmp_path / "secret.csv").write_text("a\n1\n")
    lake.append([record(0, events(steady(3)), tenant="other"), record(0, events(steady(3)), partition=1)])
    foreign = lake.snapshot().path("events", lake.snapshot().of("events", "other")[0])
    with pytest.raises(InvalidInputError):
        query(sql.format(folder=tmp_path, foreign=foreign), lake=lake, log=None, tenant="acme")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT current_setting('allowed_paths')",
        "SELECT list_transform(['allowed_paths'], x -> main.Current_Setting(x))",
        "SELECT system.main.current_setting('allowed_paths') FROM events",
        "SHOW allowed_paths",
        "SELECT * FROM (SHOW secret_directory)",
        "SELECT sql FROM duckdb_views()",
        "SELECT sql FROM duckdb_views",
        "SELECT sql FROM Duckdb_Views",
        "SELECT sql FROM system.main.duckdb_views",
        "SELECT sql FROM main.sqlite_master",
        "SELECT definition FROM pg_views",
        "SELECT pg_get_viewdef(oid) FROM pg_catalog.pg_class",
        "SELECT view_definition FROM information_schema.views",
        "SELECT * FROM duckdb_settings()",
        "SELECT setting FROM pg_settings",
        "SELECT * FROM duckdb_external_file_cache()",
        "SELECT * FROM duckdb_extensions()",
        "SELECT * FROM query('SELECT current_setting(''allowed_paths'')')",
        "SELECT * FROM query_table('duckdb_views')",
        "SELECT json_serialize_plan('FROM events_stored')",
        "SELECT (WITH duckdb_views AS (SELECT 1) SELECT count(*) FROM duckdb_views), sql FROM duckdb_views",
        "WITH RECURSIVE t AS (SELECT 1 AS a UNION SELECT a FROM t, duckdb_views()) FROM t",
        "SELECT * FROM events WHERE EXISTS (SELECT 1 FROM events JOIN pg_views USING (tenant))",
        "SELECT * FROM parquet_schema('{path}')",
        "SELECT filename FROM events",
        "SELECT filename FROM events_stored",
        "SELECT filename FROM read_parquet('{path}')",
        "SELECT * FROM '{path}'",
        "SUMMARIZE FROM duckdb_settings()",
        "DESCRIBE SELECT current_setting('allowed_paths')",
    ],
)
def test_where_the_server_keeps_its_files_is_not_told(lake: DeltaLake, tmp_path: Path, sql: str) -> None:
    """Neither settings nor the text of views, which name them, in whatever way SQL asks for them."""
    lake.append([record(0, events(steady(3)))])
    path = lake.snapshot().path("events", lake.snapshot().of("events", "acme")[0])
    with pytest.raises(InvalidInputError) as refused:
        query(sql.format(path=path), lake=lake, log=None, tenant="acme")
    assert "{path}" in sql or str(tmp_path) not in refused.value.detail


@pytest.mark.parametrize(
    "sql",
    [
        "DESCRIBE events",
        "SHOW events",
        "SHOW TABLES",
        "SUMMARIZE FROM events",
        "SELECT count(*) FROM main.events",
        "WITH views AS (SELECT 1 AS a) SELECT a FROM views UNION ALL SELECT unnest([1])",
        "SELECT j.key FROM json_each('{\"a\": 1}') AS j, range(3), generate_series(1, 2)",
        "SELECT function_name FROM duckdb_functions() LIMIT 1",
    ],
)
def test_what_is_about_data_is_answered(lake: DeltaLake, sql: str) -> None:
    """Names of views and columns, subqueries with names of their own, and functions that make rows."""
    lake.append([record(0, events(steady(3)))])
    assert query(sql, lake=lake, log=None, tenant="acme").num_rows > 0


def test_no_function_of_the_engine_tells_a_path(lake: DeltaLake, tmp_path: Path) -> None:
    """Those that an update brings are tried too: each that takes nothing, or a text or two."""
    lake.append([record(0, events(steady(3)))])
    known = (
        "SELECT DISTINCT function_name, len(parameters) FROM duckdb_functions() "
        "WHERE function_type <> 'aggregate' AND len(parameters) < 3 "
        "AND regexp_full_match(function_name, '[a-z_0-9]+') AND NOT contains(function_name, 'sleep')"
    )
    room = room_of(lake, None, "acme", tail_bytes_max=1 << 20)
    told = []
    with locked_engine(room, QueryLimits()) as engine:
        calls = dict.fromkeys(
            f"{name}({', '.join([repr(word)] * count)})"
            for name, count in engine.execute(known).fetchall()
            for word in ("allowed_paths", "events_stored", "FROM events_stored")
        )
        for call in calls:
            for sql in (f"SELECT {call}::VARCHAR", f"FROM {call} LIMIT 100"):
                with suppress(InvalidInputError, duckdb.Error):
                    answer = str(engine.execute(sql).fetchall())  # first, for most calls are none
                    only_select(engine, sql, VIEWS)
                    told.append(answer)
    assert len(told) > 300
    assert not [answer for answer in told if str(tmp_path) in answer]


def test_limits_refuse_instead_of_half_answers(lake: DeltaLake, log: EmbeddedLog) -> None:
    """Too many rows, too long, too much memory or too long a log tail are refused with the reason."""

    def ask(sql: str, **limits: float) -> None:
        query(sql, lake=lake, log=log, tenant="acme", limits=QueryLimits(**limits))  # type: ignore[arg-type]

    with pytest.raises(TooLargeError, match="more than 10 rows"):
        ask("SELECT * FROM range(11)", rows_max=10)
    with pytest.raises(TooLargeError, match="more than 5000 bytes"):
        ask("SELECT repeat('x', 1000) FROM range(10)", result_bytes_max=5_000)
    with pytest.raises(TooLargeError, match="longer than"):
        ask("SELECT range FROM range(1000000000000) WHERE range % 1000000 = 0", timeout_s=0.3)
    with pytest.raises(TooLargeError, match="longer than"):
        ask("SELECT sum(a.range * b.range) FROM range(10000000) a, range(10000000) b", timeout_s=0.2)
    with pytest.raises(TooLargeError, match="memory"):
        ask("SELECT count(DISTINCT hash(range)) FROM range(20000000)", memory_bytes=20 << 20)
    accept(log, events(steady(100)))
    with pytest.raises(BackpressureError):
        ask("SELECT 1", tail_bytes_max=100)


def test_a_mistake_that_shows_after_the_first_rows_is_told(lake: DeltaLake) -> None:
    """A value that can't be converted is the asker's mistake, wherever in the result it stands."""
    late = "SELECT CASE WHEN range > 100000 THEN ('a' || range)::INT ELSE 1 END FROM range(1000000)"
    with pytest.raises(InvalidInputError, match="Could not convert"):
        query(late, lake=lake, log=None, tenant="acme")


def test_quarantined_files_are_named(lake: DeltaLake) -> None:
    """A query over a file that is known to be damaged says so, or skips it when told to."""
    lake.append([record(0, events(steady(3)))])
    lake.append([record(3, events(steady(4)))])
    entry = lake.snapshot().files["events"][0]
    path, rows = lake.snapshot().path("events", entry), entry.rows
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])
    list(check(lake.snapshot()))
    write_down(lake.store)
    reader = open_lake(lake.store.folder, read_only=True)
    for found_by in (lake, reader):
        with pytest.raises(CorruptError, match=path.name):
            scalar("SELECT count(*) FROM events", found_by)
    found = query("SELECT count(*) FROM events", lake=lake, log=None, tenant="acme", skip_damaged=True)
    assert found.column(0).to_pylist() == [7 - rows]
    path.write_bytes(whole)
    assert scalar("SELECT count(*) FROM events", reader) == scalar("SELECT count(*) FROM events", lake) == 7
    reader.close()


@pytest.mark.parametrize("table", ["events", "hours", "control"])
def test_a_damaged_file_concerns_its_tenant_alone(lake: DeltaLake, tmp_path: Path, table: str) -> None:
    """Another tenant's questions and exports are answered in full, before and after the damage is found."""
    tick = encode_control(Tick(now_ms=NOW_MS))
    for number, tenant in enumerate(("acme", "other")):
        decision = Record(number, 3, 1, RecordKind.CONTROL, tenant, NOW_MS, tick)
        lake.append([record(0, events(steady(3)), tenant=tenant, partition=number), decision])
    damaged = lake.snapshot().of(table, "acme")[0]
    path = lake.snapshot().path(table, damaged)
    path.write_bytes(path.read_bytes()[:-1])
    for _ in range(2):
        found = query("SELECT count(*) FROM events", lake=lake, log=None, tenant="other")
        assert found.column(0).to_pylist() == [3]
        with whole_result("FROM events", lake=lake, log=None, tenant="other", spill=tmp_path) as rows:
            assert sum(batch.num_rows for batch in rows.batches) == 3
        list(check(lake.snapshot()))
    with pytest.raises(CorruptError, match=path.name):
        query("SELECT 1", lake=lake, log=None, tenant="acme")


def test_appending_a_table_twice_changes_nothing(lake: DeltaLake) -> None:
    """Rows of a writer and version are stored once; other columns or a table fed by the log are refused."""
    day = pa.array([0, 1], pa.int32()).cast(pa.date32())
    stamps = pa.array([NOW_MS, NOW_MS], pa.timestamp("ms", "UTC"))
    words = {name: ["x", "y"] for name in ("application", "device", "parameter", "detector", "verdict")}
    numbers = {name: [1.0, 2.0] for name in ("value", "score", "expected", "lower", "upper")}
    places = {"log_partition": pa.array([0, 0], pa.int32()), "log_offset": [1, 2], "revision": [0, 0]}
    rows = pa.table({"tenant": ["acme", "acme"], "date": day, "ts": stamps, **words, **numbers, **places})
    assert append_table(lake.store, "scores", rows, writer="partition-0", version=7)
    assert not append_table(lake.store, "scores", rows, writer="partition-0", version=7)
    assert append_table(lake.store, "scores", rows, writer="partition-0", version=8)
    assert scalar("SELECT count(*) FROM scores", lake) == 4
    with pytest.raises(InvalidInputError):
        append_table(lake.store, "scores", rows.drop_columns(["value"]), writer="w", version=1)
    with pytest.raises(InvalidInputError):
        append_table(lake.store, "events", rows, writer="w", version=1)


def test_parts_of_a_table_are_appended_once_and_together(lake: DeltaLake) -> None:
    """Also if somebody else is quicker; without a part nothing is, and the version stays free."""
    rows = pa.table(
        {
            "tenant": ["acme"],
            "recorded": pa.array([NOW_MS], pa.timestamp("ms", "UTC")),
            **{name: ["x"] for name in ("application", "device", "parameter", "detector", "name")},
            "hour_of_week": pa.nulls(1, pa.int32()),
            "value": [1.0],
        }
    )

    def append(parts: Iterator[pa.Table], version: int = 7) -> bool:
        return append_parts(lake.store, "models", "acme", parts, writer="cells", version=version)

    def overtaken() -> Iterator[pa.Table]:
        yield rows
        assert append(iter([rows]), version=8)

    assert not append(iter([]))
    assert append(iter([rows, rows]))
    assert scalar("SELECT count(*) FROM models", lake) == 2
    assert not append(iter([rows]))
    assert not append(overtaken(), version=8)
    assert scalar("SELECT count(*) FROM models", lake) == 3


def test_writer_waits_for_size_or_age(lake: DeltaLake, log: EmbeddedLog) -> None:
    """Nothing is flushed before enough rows wait or the oldest is old enough; then all of it, in parts."""
    writer = LakeWriter(lake, log, FlushPolicy(rows=100, age_s=45, bytes_max=1))
    assert writer.run_once(NOW_MS) == 0
    accept(log, events(steady(60)))
    assert writer.run_once(NOW_MS + 44_999) == 0
    assert writer.lag(NOW_MS + 44_999).offsets == 60
    assert writer.run_once(NOW_MS + 45_000) == 60
    accept(log, events(steady(60)))
    accept(log, events(steady(60)), partition=1)
    assert [writer.run_once(NOW_MS) for _ in range(2)] == [120, 0]
    assert dict(lake.positions()) == {0: 120, 1: 60}
