"""What `tocsin doctor` says about a folder whose files are not as they were written."""

from __future__ import annotations

import shutil
from pathlib import Path

import apsw
import pytest

from tests.http_kit import NOW_MS, episode_of, event, lines, reading_of
from tocsin.access.store import AccessStore
from tocsin.bootstrap import Application
from tocsin.cli.app import main
from tocsin.cli.opened import config_of, wait_until_caught_up
from tocsin.cli.output import Exit
from tocsin.clock import ManualClock, SystemClock
from tocsin.commit.abstract import OutboxRow
from tocsin.config import load_config
from tocsin.errors import CorruptError
from tocsin.inbox.abstract import AnomalyQuery
from tocsin.inbox.embedded import EmbeddedInbox
from tocsin.lake.writer import LakeWriter
from tocsin.scores.abstract import Findings
from tocsin.services.ingest import Delivery
from tocsin.storage.database import Tuning, open_database
from tocsin.storage.scripts import load_scripts


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with something in every store, closed."""
    folder = tmp_path_factory.mktemp("doctor") / "data"
    application = Application(load_config(None).model_copy(update={"data": folder}))
    key = str(application.bootstrap_admin())
    application.runtime.start()
    principal = application.access.authenticate(key)
    body = lines(*(event(minute=minute) for minute in range(5)))
    application.services.ingest.deliver_now(principal, Delivery(body=body))
    wait_until_caught_up(application)
    LakeWriter(application.lake, application.log).run_once(NOW_MS, force=True)
    application.stores.inbox.fold([OutboxRow(1, episode_of("pump-7"))], NOW_MS)
    application.stores.findings.append([Findings(0, 10_000, [reading_of("pump-7", "default", 1)])])
    for name in "abc":
        application.access.create_tenant(name, created_by="test")
        application.services.audit.refused(None, "http.get", f"/{name}", "", "unauthenticated")
    application.audit_log.flush()
    application.stop()
    return folder


@pytest.fixture
def folder(healthy: Path, tmp_path: Path) -> Path:
    """A copy that may be damaged."""
    return Path(shutil.copytree(healthy, tmp_path / "data"))


def doctor(folder: Path, capfd: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    """Exit code, output and errors, those of native code included."""
    code = main(["doctor", "--data", str(folder)])
    said = capfd.readouterr()
    return code, said.out, said.err


@pytest.mark.parametrize("way", ["data", "data/log", "data/log/lock"])
def test_what_is_in_the_way_of_the_folder_is_a_problem(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], way: str
) -> None:
    """A file where the folder or its log belongs, or a folder where a file does: nothing can start."""
    in_the_way = tmp_path / way
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    if way.endswith("lock"):
        in_the_way.mkdir()
    else:
        in_the_way.write_text("mine")
    code, out, _ = doctor(tmp_path / "data", capfd)
    assert code == 1
    assert str(in_the_way) in next(line for line in out.splitlines() if line.startswith("PROBLEM"))


@pytest.mark.parametrize("name", ["none", "empty", "foreign"])
def test_a_folder_without_data_is_refused(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    """Who names a folder means one with something in it: that all is well there would be no answer."""
    folder = tmp_path / name
    if name != "none":
        folder.mkdir()
    if name == "foreign":
        (folder / "letter.txt").write_text("mine")
    code, out, err = doctor(folder, capfd)
    assert (code, out) == (2, "")
    assert f"{folder} is no data folder of Tocsin" in err


@pytest.mark.parametrize(("hours", "found"), [(-2, 1), (0, 0), (2000, 0)])
def test_a_clock_that_was_set_back_is_noticed(
    folder: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    hours: int,
    found: int,
) -> None:
    """What arrived tells: nothing can have come later than now. That nothing came for long is no problem."""
    clock = SystemClock()
    monkeypatch.setattr(
        "tocsin.bootstrap.application.SystemClock", lambda: ManualClock(clock.now_ms() + hours * 3_600_000)
    )
    code, out, _ = doctor(folder, capfd)
    (told,) = [line for line in out.splitlines() if " arrivals: the newest record arrived at 20" in line]
    assert (code, told.startswith("PROBLEM")) == (found, bool(found)), out
    assert ("s after what the clock says now" in told) == bool(found)
    assert ("arrivals: the clock was ahead then or is behind now" in out) == bool(found)


def test_a_healthy_folder_has_no_problem(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Every store is named, and none is a problem."""
    code, out, err = doctor(folder, capfd)
    assert "PROBLEM" not in out
    assert (code, err) == (0, "")
    for name in ("log", "commit", "checkpoints", "inbox", "abnormal", "access", "replays", "audit", "lake"):
        assert f"ok      {name}: " in out
    assert "3 entries in an unbroken chain" in out


def test_stores_that_are_in_use_are_skipped_and_not_fine(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Beside a running server nothing stored is looked at, and no line says ok of it."""
    application = Application(config_of(None, folder))
    try:
        code, out, _ = doctor(folder, capfd)
    finally:
        application.stop()
    assert code == 0
    assert "skipped stores: " in out
    assert "is in use by another Tocsin: stop that one first" in out


def test_a_lake_that_a_server_writes_is_merged_by_nobody_else(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Who tries is told to stop the other one, and may try again: it is no damage."""
    application = Application(config_of(None, folder))
    try:
        code = main(["lake", "compact", "--data", str(folder)])
    finally:
        application.stop()
    assert code == Exit.UNAVAILABLE
    assert "is in use by another Tocsin" in capfd.readouterr().err


def test_a_folder_that_is_not_there_is_skipped_by_its_name(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who forgets --data, or is in another folder, must not take the answer for one about the data."""
    monkeypatch.chdir(tmp_path)
    assert main(["doctor"]) == 0
    assert "skipped stores: nothing is stored in tocsin-data yet" in capfd.readouterr().out


def test_a_commit_store_that_was_deleted_is_named(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """An empty one in its place is whole; the server refuses to start with it, and sends people here."""
    for path in folder.glob("commit.db*"):
        path.unlink()
    code, said, _ = doctor(folder, capfd)
    assert code == 1
    assert "commit.db knows of 0 records of partition" in said
    assert "restore the folder from its backup" in said


@pytest.mark.parametrize("how", ["flipped", "cut", "empty", "gone"])
@pytest.mark.parametrize(
    "pattern",
    [
        "lake/events/_delta_log/*1.json",
        "lake/hours/_delta_log/*0.json",
        "lake/events/**/*.parquet",
        "lake/control/**/*.parquet",
    ],
)
def test_a_damaged_file_of_the_lake_is_named(
    folder: Path, capfd: pytest.CaptureFixture[str], pattern: str, how: str
) -> None:
    """In words, with exit code 1, and without a word from native code."""
    path = min(folder.glob(pattern))
    whole = path.read_bytes()
    middle = len(whole) // 2
    match how:
        case "flipped":
            path.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1 :])
        case "cut":
            path.write_bytes(whole[:middle])
        case "empty":
            path.write_bytes(b"")
        case _:
            path.unlink()
    code, out, err = doctor(folder, capfd)
    assert (code, err) == (1, "")
    assert path.name in out
    assert "PROBLEM" in out


def alter(path: Path, change: str) -> None:
    """Change rows behind the back of the triggers that hash them."""
    connection = apsw.Connection(str(path))
    connection.create_scalar_function("row_hash", lambda *_: b"", flags=apsw.SQLITE_INNOCUOUS)
    found = list(connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"))
    for name, _ in found:
        connection.execute(f'DROP TRIGGER "{name}"')
    connection.execute(change)
    for _, source in found:
        connection.execute(str(source))
    connection.close()


@pytest.mark.parametrize(
    ("file", "change", "named"),
    [
        ("inbox.db", "UPDATE anomaly SET explanation = 'all is well'", "inbox.db: anomaly"),
        ("inbox.db", "UPDATE episode SET retracted = 1", "inbox.db: episode"),
        ("inbox.db", "UPDATE change SET actor = 'nobody'", "inbox.db: change 1"),
        ("abnormal.db", "UPDATE abnormal SET value = 20.0", "reading of pump-7"),
        ("abnormal.db", "UPDATE abnormal_minute SET count = 0", "count of"),
        ("abnormal.db", "UPDATE position SET position = 0 WHERE partition = 0", "position of 0"),
        ("access.db", "UPDATE credential SET roles = '[]'", "access.db: credential"),
        ("access.db", "UPDATE tenant SET name = 'd' WHERE name = 'c'", "access.db: tenant d"),
        ("audit.db", "UPDATE entry SET actor = 'nobody' WHERE sequence = 2", "entry 2 does not fit"),
        ("audit.db", "DELETE FROM entry WHERE sequence = 2", "entry 3 does not fit"),
    ],
)
def test_an_altered_row_is_named(
    folder: Path, capfd: pytest.CaptureFixture[str], file: str, change: str, named: str
) -> None:
    """A row that another program, or the disk, has changed does not match its hash any more."""
    alter(folder / file, change)
    code, out, _ = doctor(folder, capfd)
    assert named in out
    assert code == 1


def test_an_altered_row_is_not_used(folder: Path) -> None:
    """An anomaly that does not match its hash is not shown."""
    alter(folder / "inbox.db", "UPDATE anomaly SET severity = 'info'")
    inbox = EmbeddedInbox(folder / "inbox.db")
    with pytest.raises(CorruptError, match="anomaly"):
        inbox.anomalies(AnomalyQuery("default"))
    inbox.close()


def test_stores_of_an_older_version_get_their_hashes(tmp_path: Path) -> None:
    """Rows without a hash are given one by the migration, and match it."""
    old = open_database(tmp_path / "access.db", Tuning())
    old.execute(load_scripts("tocsin.access", "credentials").migrations[0])
    old.execute("INSERT INTO tenant VALUES ('acme', 1); PRAGMA user_version = 1")
    old.close()
    store = AccessStore(tmp_path / "access.db", ManualClock())
    assert store.verify() == []
    assert store.tenants() == ["acme"]
    store.close()
