"""What the lake takes in by itself: episodes and models become tables that SQL reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from tests.integration.test_recovery import QUICK, running, send, settled, stores_in
from tests.kit import events_of, fleet
from tocsin.clock import ManualClock
from tocsin.errors import CorruptError, StorageUnavailableError
from tocsin.lake import chores as chores_of_lake
from tocsin.lake.chores import LakeChores
from tocsin.lake.delta import DeltaLake
from tocsin.lake.query import query
from tocsin.log.abstract import Append, DeadLetter, StoredDeadLetter
from tocsin.processing.state import TenantState
from tocsin.runtimes.embedded import models as models_of_detectors
from tocsin.runtimes.embedded.models import models_of

DAY_MS = 86_400_000


def test_episodes_and_models_can_be_read_as_tables(tmp_path: Path) -> None:
    """Each state of an episode is there once, and once a day what every series has learnt."""
    rows = fleet(5, devices=4, steps=300)
    clock = ManualClock(20_000 * DAY_MS)
    with stores_in(tmp_path) as stores, running(stores, QUICK) as runtime:
        assert isinstance(stores.lake, DeltaLake)
        chores = LakeChores(stores.lake, stores.commits, stores.findings, clock)
        for at in range(0, len(rows), 100):
            send(stores, events_of(rows[at : at + 100]))
        settled(runtime)
        stored = {episode.id for episode in stores.commits.episodes("t", limit=1000)}
        for _ in range(2):
            chores.merge()
            chores.record_models(
                ["t"], lambda tenant: models_of(runtime.workers, tenant, clock.now_ms(), 100)
            )
        clock.sleep(86_400)
        chores.record_models(["t"], lambda tenant: models_of(runtime.workers, tenant, clock.now_ms(), 100))

        def ask(sql: str) -> list[dict[str, object]]:
            assert isinstance(stores.lake, DeltaLake)
            found: list[dict[str, object]] = query(
                sql, lake=stores.lake, log=stores.log, tenant="t"
            ).to_pylist()
            return found

        assert ask("SELECT count(DISTINCT recorded) AS days FROM models") == [{"days": 2}]
        learnt = ask("SELECT DISTINCT parameter, hour_of_week FROM models WHERE name = 'mean'")
        assert {row["parameter"] for row in learnt} == {"temperature", "humidity"}
        assert all(isinstance(row["hour_of_week"], int) for row in learnt)
        assert stored


def test_the_outbox_waits_until_the_lake_has_its_episodes(tmp_path: Path) -> None:
    """Nothing is pruned that the table of episodes still needs; taking it in twice adds nothing."""
    rows = fleet(5, devices=4, steps=300)
    with stores_in(tmp_path) as stores:
        assert isinstance(stores.lake, DeltaLake)
        chores = LakeChores(stores.lake, stores.commits, stores.findings, ManualClock())
        with running(stores, QUICK, projected=chores.projected) as runtime:
            send(stores, events_of(rows))
            settled(runtime)
            chores.take_in()
            chores.take_in()
            counted = query(
                "SELECT count(*) AS states, count(DISTINCT id) AS episodes FROM episodes",
                lake=stores.lake, log=stores.log, tenant="t",
            ).to_pylist()[0]  # fmt: skip
            ids = {episode.id for episode in stores.commits.episodes("t", limit=1000)}
            states = sum(len(stores.commits.revisions("t", each)) for each in ids)
    assert counted == {"states": states, "episodes": len(ids)}
    assert states > 0


def test_a_new_folder_has_models_at_once_and_those_of_the_day_too(tmp_path: Path) -> None:
    """A tenant without models gets some as soon as something is learnt, once; the day's come besides."""
    clock = ManualClock(20_000 * DAY_MS)
    with stores_in(tmp_path) as stores, running(stores, QUICK) as runtime:
        assert isinstance(stores.lake, DeltaLake)
        chores = LakeChores(stores.lake, stores.commits, stores.findings, clock)

        def models(tenant: str) -> Iterator[pa.Table]:
            return models_of(runtime.workers, tenant, clock.now_ms(), 100)

        def recorded() -> int:
            assert isinstance(stores.lake, DeltaLake)
            found = query(
                "SELECT count(DISTINCT recorded) FROM models", lake=stores.lake, log=None, tenant="t"
            )
            return int(found.column(0)[0].as_py())

        chores.record_first_models(["t"], models)
        assert recorded() == 0
        send(stores, events_of(fleet(5, devices=2, steps=50)))
        settled(runtime)
        for _ in range(2):
            chores.record_first_models(["t"], models)
            assert recorded() == 1
            clock.sleep(60)
        for _ in range(2):
            chores.record_models(["t"], models)
            assert recorded() == 2
            clock.sleep(60)


def test_models_come_in_parts_that_make_the_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many series a part has."""
    with stores_in(tmp_path) as stores, running(stores, QUICK) as runtime:
        send(stores, events_of(fleet(5, devices=7, steps=50)))
        settled(runtime)

        def rows(per_part: int, series_max: int) -> list[str]:
            monkeypatch.setattr(models_of_detectors, "_SERIES_PER_PART", per_part)
            parts = list(models_of(runtime.workers, "t", 0, series_max))
            assert all(len(set(zip(*_names(part), strict=True))) <= per_part for part in parts)
            return sorted(map(str, pa.concat_tables(parts).to_pylist()))

        whole = rows(100, 100)
        assert len(whole) > 50
        assert [rows(size, 100) for size in (1, 3)] == [whole, whole]
        assert rows(3, 4) == rows(100, 4) != whole


def test_a_part_of_which_nothing_is_told_does_not_end_the_models(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A detector may offer nothing of some series."""
    tables = models_of_detectors._tables

    def silent_first(state: TenantState, recorded_ms: int, first: int, last: int) -> Iterator[pa.Table]:
        return tables(state, recorded_ms, first, last) if first else iter(())

    with stores_in(tmp_path) as stores, running(stores, QUICK) as runtime:
        send(stores, events_of(fleet(5, devices=7, steps=50)))
        settled(runtime)
        monkeypatch.setattr(models_of_detectors, "_tables", silent_first)
        monkeypatch.setattr(models_of_detectors, "_SERIES_PER_PART", 2)
        assert list(models_of(runtime.workers, "t", 0, 100))


def _names(part: pa.Table) -> list[list[str]]:
    return [part.column(name).to_pylist() for name in ("application", "device", "parameter")]


def test_dead_letters_of_every_tenant_can_be_read_as_a_table(tmp_path: Path) -> None:
    """Each refused line is there once, with its tenant's others, however often the log is asked."""
    with stores_in(tmp_path) as stores:
        assert isinstance(stores.lake, DeltaLake)
        chores = LakeChores(stores.lake, stores.commits, stores.findings, ManualClock())
        for turn in range(2):
            for tenant, lines in (("t", 250), ("u", 3)):
                letters = [
                    DeadLetter(tenant, 0, "http", line, "bad_utf8", "", "", b"x") for line in range(lines)
                ]
                stores.log.submit(
                    Append(tenant=tenant, arrival_ms=0, parts=[], dead_letters=letters)
                ).result()
            for _ in range(2):
                chores.take_in_dead_letters(["t", "u"], stores.log)
            for tenant, lines in (("t", 250), ("u", 3)):
                sql = "SELECT count(*), count(DISTINCT id) FROM dead_letters"
                found = query(sql, lake=stores.lake, log=None, tenant=tenant).to_pylist()[0]
                assert set(found.values()) == {lines * (turn + 1)}


def test_a_damaged_refused_line_holds_up_its_own_tenant_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Doctor names it; a thread that ended with it would end the process, and every one after it."""
    with stores_in(tmp_path) as stores:
        assert isinstance(stores.lake, DeltaLake)
        for tenant in ("north", "south"):
            letter = DeadLetter(tenant, 0, "http", 1, "invalid_json", "", "no JSON", b"{")
            stores.log.submit(Append(tenant, 0, (), [letter])).result()
        whole = stores.log.dead_letters

        def damaged(tenant: str, *, after_id: int = 0, limit: int = 100) -> list[StoredDeadLetter]:
            if tenant == "north":
                raise CorruptError("dead letter 1 does not match its hash")
            return whole(tenant, after_id=after_id, limit=limit)

        monkeypatch.setattr(stores.log, "dead_letters", damaged)
        chores = LakeChores(stores.lake, stores.commits, stores.findings, ManualClock())
        chores.take_in_dead_letters(["north", "south"], stores.log)
        counted = {
            tenant: query(
                "SELECT count(*) AS letters FROM dead_letters", lake=stores.lake, log=None, tenant=tenant
            ).to_pylist()[0]["letters"]
            for tenant in ("north", "south")
        }
    assert counted == {"north": 0, "south": 1}


@pytest.mark.parametrize("error", [duckdb.OutOfMemoryException, duckdb.IOException])
def test_a_merge_without_room_is_put_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """Merging is never worth the end of the process."""

    def no_room(_: object) -> None:
        raise error("no room")

    monkeypatch.setattr(chores_of_lake, "compact", no_room)
    with stores_in(tmp_path) as stores:
        assert isinstance(stores.lake, DeltaLake)
        chores = LakeChores(stores.lake, stores.commits, stores.findings, ManualClock())
        with pytest.raises(StorageUnavailableError, match="can't be merged now: no room"):
            chores.merge()
