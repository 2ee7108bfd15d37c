"""The rules that every embedded database is opened by."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import apsw
import pytest
from apsw.ext import query_info

from tocsin.errors import CorruptError, StorageFullError, StorageUnavailableError
from tocsin.storage.database import Tuning, migrate, open_database, open_reader, require_sqlite
from tocsin.storage.faults import EXIT_STATUS, storage_faults
from tocsin.storage.lock import FolderInUseError, FolderLock
from tocsin.storage.readers import Readers
from tocsin.storage.scripts import Scripts, load_scripts
from tocsin.storage.writer import Writer

STORES = [("tocsin.log", "segment"), ("tocsin.log", "kept"), ("tocsin.commit", "commit")]
STORES += [("tocsin.commit", "checkpoints"), ("tocsin.directory", "directory")]
STORES += [("tocsin.access", "credentials"), ("tocsin.access", "audit")]

ONE_TABLE = Scripts("", ("CREATE TABLE item (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT",), {})

TWO_TABLES = Scripts(
    "",
    (
        *ONE_TABLE.migrations,
        "CREATE TABLE later (id INTEGER) STRICT; UPDATE item SET body = CAST('new' AS BLOB)",
    ),
    {},
)
ROOT = Path(__file__).parents[2]


def schema_of(connection: apsw.Connection) -> list[tuple[str, ...]]:
    return sorted(connection.execute("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_schema"))


@pytest.mark.parametrize(("package", "store"), STORES)
def test_migrations_equal_the_declared_schema(package: str, store: str, tmp_path: Path) -> None:
    """A store made by all migrations is the store that schema.sql shows to a reader."""
    scripts = load_scripts(package, store)
    migrated = open_database(tmp_path / "migrated.db", Tuning())
    migrate(migrated, scripts)
    declared = open_database(tmp_path / "declared.db", Tuning())
    declared.execute(scripts.schema)
    assert schema_of(migrated) == schema_of(declared)
    migrated.close()
    declared.close()


@pytest.mark.parametrize(("package", "store"), STORES)
def test_tables_are_strict_and_queries_compile(package: str, store: str, tmp_path: Path) -> None:
    """Every table refuses values of another type, and every named query fits the schema."""
    scripts = load_scripts(package, store)
    connection = open_database(tmp_path / "store.db", Tuning())
    migrate(connection, scripts)
    tables = connection.execute("SELECT name, strict FROM pragma_table_list WHERE name NOT LIKE 'sqlite_%'")
    assert {name for name, strict in tables if not strict} == set()
    for query in scripts.queries.values():
        assert query_info(connection, query).query == query
    connection.close()


def test_connections_follow_the_rules(tmp_path: Path) -> None:
    """WAL, full synchronisation, foreign keys, and no trust in what a schema brings along."""
    connection = open_database(tmp_path / "store.db", Tuning(page_bytes=8192))
    names = ("journal_mode", "synchronous", "foreign_keys", "trusted_schema", "page_size")
    assert [connection.pragma(name) for name in names] == ["wal", 2, 1, 0, 8192]
    connection.close()


def test_a_reader_can_not_write(tmp_path: Path) -> None:
    """Whatever a query does, a connection for reading changes nothing."""
    writer = Writer(tmp_path / "store.db", ONE_TABLE, Tuning())
    reader = open_reader(tmp_path / "store.db", Tuning())
    with pytest.raises(apsw.ReadOnlyError):
        reader.execute("INSERT INTO item (body) VALUES (x'00')")
    reader.close()
    writer.close()


def test_an_old_sqlite_is_refused() -> None:
    """The versions that can corrupt a WAL database are named with what to do."""
    require_sqlite("3.51.3")
    require_sqlite("3.60")
    for version in ("3.51.2", "3.40.1", "3.9.99"):
        with pytest.raises(StorageUnavailableError, match="pip install"):
            require_sqlite(version)


def test_a_store_of_a_newer_tocsin_is_refused(tmp_path: Path) -> None:
    """An older program does not guess what a newer one has written."""
    newer = Scripts("", (*ONE_TABLE.migrations, "CREATE TABLE later (id INTEGER) STRICT"), {})
    Writer(tmp_path / "store.db", newer, Tuning()).close()
    with pytest.raises(StorageUnavailableError, match="newer Tocsin"):
        Writer(tmp_path / "store.db", ONE_TABLE, Tuning())


def test_a_migration_that_fails_leaves_the_old_schema(tmp_path: Path) -> None:
    """A store is of the old version or of the new one, never in between."""
    path = tmp_path / "store.db"
    Writer(path, ONE_TABLE, Tuning()).close()
    broken = Scripts(
        "", (*ONE_TABLE.migrations, "CREATE TABLE later (id INTEGER) STRICT; SELECT nonsense"), {}
    )
    with pytest.raises(apsw.SQLError):
        Writer(path, broken, Tuning())
    connection = open_database(path, Tuning())
    assert connection.pragma("user_version") == 1
    assert [row[1] for row in schema_of(connection)] == ["item"]
    connection.close()


KILLED = """
import os, signal, sys
from pathlib import Path
import apsw
from tests.unit.test_storage import TWO_TABLES
from tocsin.storage.database import Tuning, migrate, open_database

connection, left = open_database(Path(sys.argv[1]), Tuning()), int(sys.argv[2])

def before(*_):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return True

connection.exec_trace = before
migrate(connection, TWO_TABLES)
"""


def test_a_kill_before_any_statement_of_a_migration_leaves_the_old_or_the_new_schema(tmp_path: Path) -> None:
    """Tables, their rows and the number of the schema are of one version, and the next start goes on."""
    wanted = {1: (["item"], [b"old"]), 2: (["item", "later"], [b"new"])}
    kills = 0
    for statement in range(20):
        path = tmp_path / f"{statement}.db"
        with closing(Writer(path, ONE_TABLE, Tuning())) as writer, writer.transaction() as connection:
            connection.execute("INSERT INTO item (body) VALUES (CAST('old' AS BLOB))")
        command = [sys.executable, "-c", KILLED, str(path), str(statement)]
        killed = subprocess.run(command, cwd=ROOT, check=False, timeout=120).returncode
        connection = open_database(path, Tuning())
        found = [row[1] for row in schema_of(connection)], [row[0] for row in
                connection.execute("SELECT body FROM item")]  # fmt: skip
        assert found == wanted[connection.pragma("user_version")]
        migrate(connection, TWO_TABLES)
        assert connection.execute("SELECT body FROM item").get == b"new"
        connection.close()
        if killed == 0:
            break
        assert killed == -signal.SIGKILL
        kills += 1
    assert kills >= 5  # begin, both changes, the number, commit


def test_a_transaction_is_whole_or_absent(tmp_path: Path) -> None:
    """What an error interrupts leaves nothing behind, and the next transaction works."""
    writer = Writer(tmp_path / "store.db", ONE_TABLE, Tuning())

    def fail() -> None:
        with writer.transaction() as connection:
            connection.execute("INSERT INTO item (body) VALUES (x'00')")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    with writer.transaction() as connection:
        assert connection.execute("SELECT count(*) FROM item").get == 0
    writer.close()
    with pytest.raises(StorageUnavailableError, match="closed"), writer.transaction():
        pass


def test_readers_keep_few_connections_open(tmp_path: Path) -> None:
    """Many threads may read at once; afterwards only a few connections stay."""
    path = tmp_path / "store.db"
    Writer(path, ONE_TABLE, Tuning()).close()
    readers = Readers(path, Tuning(), idle_max=1)
    gate = threading.Barrier(4)
    lent: list[apsw.Connection] = []

    def read() -> None:
        with readers.lend() as connection:
            lent.append(connection)
            gate.wait(10)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, lent))) == 4
    open_ones = [connection for connection in apsw.connections() if connection in lent]
    assert len(open_ones) == 1
    readers.close()


def test_a_folder_has_one_owner(tmp_path: Path) -> None:
    """A second Tocsin on the same folder is told so instead of mixing its records in."""
    first = FolderLock(tmp_path / "data")
    for address in ("", "http://127.0.0.1:40000", "http://h"):
        first.tell(address)
        with pytest.raises(FolderInUseError, match="in use") as refused:
            FolderLock(tmp_path / "data")
        assert refused.value.told == address
    first.close()
    second = FolderLock(tmp_path / "data")
    with pytest.raises(FolderInUseError) as refused:
        FolderLock(tmp_path / "data")
    assert refused.value.told == ""
    second.close()


def test_a_folder_that_cant_be_locked_says_why_and_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file where a folder is needed, a folder where the lock is, no permission, a disk for reading only."""
    (tmp_path / "file").write_text("mine")
    (tmp_path / "odd" / "lock").mkdir(parents=True)
    for folder, why in (
        ("file", r"file can't be used: File exists; a folder is needed there"),
        ("file/below", r"file can't be used: File exists; a folder is needed there"),
        ("odd", r"odd can't be used: Is a directory \(.*odd/lock\); a file is needed there"),
    ):
        with pytest.raises(StorageUnavailableError, match=why):
            FolderLock(tmp_path / folder)
    for number, remedy in ((errno.EACCES, "as the user whom"), (errno.EROFS, "mount it for writing")):

        def refused(self: Path, *, exist_ok: bool, number: int = number) -> None:
            raise OSError(number, os.strerror(number), str(self))

        monkeypatch.setattr(Path, "mkdir", refused)
        with pytest.raises(StorageUnavailableError, match=f"{os.strerror(number)}; .*{remedy}"):
            FolderLock(tmp_path / "new")


@pytest.mark.parametrize(
    ("error", "answer"),
    [
        (apsw.FullError("database or disk is full"), StorageFullError),
        (OSError(28, "No space left on device"), StorageFullError),
        (apsw.CorruptError("database disk image is malformed"), CorruptError),
        (apsw.NotADBError("file is not a database"), CorruptError),
        (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"), CorruptError),
        (apsw.ReadOnlyError("attempt to write a readonly database"), StorageUnavailableError),
        (OSError(30, "Read-only file system"), StorageUnavailableError),
    ],
)
def test_faults_become_answers(error: Exception, answer: type[Exception]) -> None:
    """What the disk does to a store reaches people as an error with a code and the file's name."""
    with pytest.raises(answer, match=r"store\.db"), storage_faults("store.db"):
        raise error


def test_bugs_are_not_dressed_up_as_faults() -> None:
    """A wrong query stays what it is."""
    with pytest.raises(apsw.SQLError), storage_faults("store.db"):
        raise apsw.SQLError("no such table")


def damage_wal(path: Path, *, frame: int, page_bytes: int) -> None:
    """Flip one bit in the page of a frame of the write-ahead log."""
    wal = path.with_name(path.name + "-wal")
    content = bytearray(wal.read_bytes())
    content[32 + (frame - 1) * (24 + page_bytes) + 24 + 100] ^= 1
    wal.write_bytes(content)


def five_commits(path: Path) -> int:
    """A database whose write-ahead log holds five commits; how many frames it has."""
    writer = Writer(path, ONE_TABLE, Tuning(merge_on_close=False))
    for number in range(5):
        with writer.transaction() as connection:
            connection.execute("INSERT INTO item (body) VALUES (?)", (bytes([number]) * 100,))
    writer.close()
    return (path.with_name(path.name + "-wal").stat().st_size - 32) // (24 + 4096)


def test_lost_commits_in_a_write_ahead_log_are_noticed(tmp_path: Path) -> None:
    """SQLite drops what follows a flipped bit without a word; Tocsin refuses to go on without it."""
    path = tmp_path / "store.db"
    frames = five_commits(path)
    damage_wal(path, frame=frames - 2, page_bytes=4096)
    with pytest.raises(CorruptError, match="damaged after frame"):
        open_database(path, Tuning())


def test_a_lost_commit_is_noticed_wherever_its_frame_lies(tmp_path: Path) -> None:
    """Also where the header of its frame lies on two sectors: in the first generation none of it is old."""
    path = tmp_path / "store.db"
    wal = path.with_name(path.name + "-wal")
    writer = Writer(path, ONE_TABLE, Tuning(merge_on_close=False))
    number = 0
    while not wal.exists() or wal.stat().st_size < 32 + 43 * 4120:  # the 42nd header begins 8 bytes before
        with writer.transaction() as connection:  # the end of a sector
            connection.execute("INSERT OR REPLACE INTO item VALUES (1, ?)", (bytes([number]),))
        number += 1
    writer.close()
    damage_wal(path, frame=42, page_bytes=4096)
    with pytest.raises(CorruptError, match="damaged after frame 41 and 2 commits"):
        open_database(path, Tuning())


@pytest.mark.parametrize("half", [8, 12])
def test_a_commit_whose_frame_bears_half_of_the_salts_is_noticed(half: int, tmp_path: Path) -> None:
    """Generations differ in both: with a flipped bit it passed for old, one behind it for torn."""
    path = tmp_path / "store.db"
    wal = path.with_name(path.name + "-wal")
    frames = five_commits(path)
    content = bytearray(wal.read_bytes())
    content[32 + (frames - 2) * 4120 + half] ^= 4
    wal.write_bytes(content)
    with pytest.raises(CorruptError, match=f"damaged after frame {frames - 2} and 2 commits"):
        open_database(path, Tuning())


def test_a_damaged_wal_header_is_noticed(tmp_path: Path) -> None:
    """A flip in the first bytes makes SQLite ignore the whole write-ahead log, which would lose it all."""
    for position in (5, 17):
        path = tmp_path / f"store{position}.db"
        five_commits(path)
        wal = path.with_name(path.name + "-wal")
        content = bytearray(wal.read_bytes())
        content[position] ^= 1
        wal.write_bytes(content)
        with pytest.raises(CorruptError, match="damaged after frame 0"):
            open_database(path, Tuning())


def cut_after_a_new_header(path: Path) -> None:
    """Seven commits, all merged; a power cut let through the next generation's header, not its frames."""
    wal = path.with_name(path.name + "-wal")
    five_commits(path)
    writer = Writer(path, ONE_TABLE, Tuning(merge_after_pages=1, merge_on_close=False))
    contents = []
    for _ in range(2):
        with writer.transaction() as connection:
            connection.execute("INSERT INTO item (body) VALUES (x'00')")
        contents.append(wal.read_bytes())
    writer.close()
    wal.write_bytes(contents[1][:32] + contents[0][32:])  # the cut came after the new header


def test_frames_of_an_older_generation_are_no_loss(tmp_path: Path) -> None:
    """After a merge SQLite writes over the log from its start; what then follows is old, and merged."""
    path = tmp_path / "store.db"
    cut_after_a_new_header(path)
    connection = open_database(path, Tuning())
    assert connection.execute("SELECT count(*) FROM item").get == 7
    connection.close()


@pytest.mark.parametrize("commits", [39, 40, 41, 42])
def test_a_commit_torn_over_an_older_generation_is_no_damage(commits: int, tmp_path: Path) -> None:
    """Whichever of its sectors a power cut lets through: a header of a frame may be half old, half new."""
    path, large = tmp_path / "store.db", bytes(range(256)) * 140
    wal = path.with_name(path.name + "-wal")
    writer = Writer(path, ONE_TABLE, Tuning(merge_after_pages=80, merge_on_close=False))

    def commit(content: bytes) -> None:
        with writer.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO item VALUES (1, ?)", (content,))

    while not wal.exists() or wal.stat().st_size < 80 * 4120:
        commit(b"\x00")
    for number in range(commits):
        commit(bytes([number]))
    database, before = path.read_bytes(), wal.read_bytes()
    commit(large)
    after = wal.read_bytes()
    writer.close()
    rng, found = random.Random(commits), set()
    for _ in range(80):
        torn = bytearray(before)
        for at in range(0, len(after), 512):
            if rng.random() < 0.7:
                torn[at : at + 512] = after[at : at + 512]
        path.write_bytes(database)
        wal.write_bytes(torn[: rng.choice([len(torn), rng.randrange(32 + commits * 4120, len(torn))])])
        path.with_name(path.name + "-shm").unlink(missing_ok=True)
        with closing(open_database(path, Tuning(merge_on_close=False))) as connection:
            found.add(connection.execute("SELECT length(body) FROM item").get)
    assert found == {1}


def test_no_first_generation_is_begun_over_an_older_one(tmp_path: Path) -> None:
    """Not even by a second connection, which knows no older one: a torn commit would be damage."""
    path = tmp_path / "store.db"
    wal = path.with_name(path.name + "-wal")
    cut_after_a_new_header(path)
    older_bytes = wal.stat().st_size
    reader = open_reader(path, Tuning())  # as a segment of the log is opened: it recovers
    assert reader.execute("SELECT count(*) FROM item").get == 7
    writer = Writer(path, ONE_TABLE, Tuning(merge_on_close=False))
    with writer.transaction() as connection:
        connection.execute("INSERT INTO item (body) VALUES (x'00')")
    assert wal.stat().st_size < older_bytes
    writer.close()
    reader.close()


def test_a_torn_last_commit_is_dropped_and_cleared_away(tmp_path: Path) -> None:
    """A power cut tears the commit that was under way; that is no damage, however often it happens."""
    path = tmp_path / "store.db"
    frames = five_commits(path)
    damage_wal(path, frame=frames, page_bytes=4096)
    connection = open_database(path, Tuning(merge_on_close=False))
    assert connection.execute("SELECT count(*) FROM item").get == 4
    connection.close()
    assert path.with_name(path.name + "-wal").stat().st_size == 0


FAILING = """
import apsw, pathlib, sys
from tocsin.storage.database import Tuning
from tocsin.storage.scripts import Scripts
from tocsin.storage.writer import Writer

class Disk(apsw.VFS):
    def __init__(self): super().__init__("failing", "")
    def xOpen(self, name, flags): return File(name, flags)

class File(apsw.VFSFile):
    fails = ""
    def __init__(self, name, flags):
        super().__init__("", name, flags)
        self.kind = "wal" if flags[0] & apsw.SQLITE_OPEN_WAL else "main"
    def xSync(self, flags):
        if File.fails == self.kind:
            error = apsw.IOError("no")
            error.extendedresult = apsw.SQLITE_IOERR_FSYNC
            raise error
        super().xSync(flags)

disk = Disk()
scripts = Scripts("", ("CREATE TABLE item (body BLOB) STRICT",), {})
closing = sys.argv[2] == "closing"
tuning = Tuning(vfs="failing", merge_after_pages=1000 if closing else 1)
writer = Writer(pathlib.Path(sys.argv[1]), scripts, tuning)
File.fails = "main" if closing else sys.argv[2]
try:
    with writer.transaction() as connection:
        connection.execute("INSERT INTO item VALUES (x'00')")
except BaseException as error:
    print("survived with", error)
if not closing:
    print("committed")
writer.close()
print("closed")
"""


@pytest.mark.parametrize("kind", ["wal", "main", "closing"])
def test_a_failed_fsync_ends_the_process(kind: str, tmp_path: Path) -> None:
    """After it nothing may be acknowledged, so nobody gets to catch it; merging counts too, also the last."""
    command = [sys.executable, "-c", FAILING, str(tmp_path / "store.db"), kind]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == EXIT_STATUS
    assert "fsync failed" in ended.stderr
    assert ended.stdout == ""


def test_a_long_write_ahead_log_is_merged(tmp_path: Path) -> None:
    """The log of a store that is written for ever stays short."""
    path = tmp_path / "store.db"
    writer = Writer(path, ONE_TABLE, Tuning(merge_after_pages=20))
    for _ in range(200):
        with writer.transaction() as connection:
            connection.execute("INSERT OR REPLACE INTO item (id, body) VALUES (1, zeroblob(3000))")
    assert path.with_name(path.name + "-wal").stat().st_size < 30 * 4120
    writer.close()
