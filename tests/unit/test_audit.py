"""The audit log: complete, in order, and altered by nobody unnoticed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import apsw
import msgspec
import pytest

from tocsin.access.audit import AuditLog
from tocsin.access.audit_entry import AuditEntry, Outcome, chain_hash
from tocsin.access.credential import CredentialKind, NewCredential
from tocsin.access.device_scope import DeviceScope
from tocsin.access.principal import Principal, Role
from tocsin.access.store import DEFAULT_TENANT, AccessStore
from tocsin.clock import ManualClock
from tocsin.errors import StorageUnavailableError
from tocsin.observability.meters import Meters
from tocsin.services.audit import AuditTrail
from tocsin.services.credentials import Credentials, Tenants

DAY_MS = 86_400_000
Opener = Callable[..., AuditLog]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1000 * DAY_MS)


@pytest.fixture
def opener(tmp_path: Path, clock: ManualClock) -> Iterator[Opener]:
    opened: list[AuditLog] = []

    def open_log(**limits: Any) -> AuditLog:
        opened.append(AuditLog(tmp_path / "audit.db", clock, **limits))
        return opened[-1]

    yield open_log
    for log in opened:
        log.close()


def entry(number: int, tenant: str = "a", at_ms: int = 1000 * DAY_MS) -> AuditEntry:
    return AuditEntry(
        tenant=tenant,
        at_ms=at_ms,
        actor="k1",
        action="credential.revoke",
        object=f"credential {number}",
        outcome=Outcome.ALLOWED,
        address="192.0.2.1",
    )


def filled(log: AuditLog, count: int) -> AuditLog:
    for number in range(count):
        log.record(entry(number))
    log.flush()
    return log


def test_entries_come_back_newest_first(opener: Opener) -> None:
    """What was recorded is listed whole, by page, for its tenant alone."""
    log = filled(opener(), 5)
    log.record(entry(9, tenant="b"))
    log.flush()
    page = log.entries("a", limit=3)
    rest = log.entries("a", before=page[-1].sequence)
    assert [stored.entry for stored in page + rest] == [entry(number) for number in (4, 3, 2, 1, 0)]
    assert [stored.entry for stored in log.entries("b")] == [entry(9, tenant="b")]


def test_the_chain_goes_on_after_a_restart(opener: Opener) -> None:
    """Entries are durable, and what is added later is tied to what was there."""
    filled(opener(), 3).close()
    log = filled(opener(), 2)
    check = log.verify()
    assert (check.entries, check.broken_at) == (5, None)
    assert check.head == log.entries("a", limit=1)[0].chain


def tamper(folder: Path, statement: str, values: tuple[Any, ...] = ()) -> None:
    """Alter rows as whoever owns the file can: the trigger that forbids it is taken away and put back."""
    connection = apsw.Connection(str(folder / "audit.db"))
    trigger = connection.execute("SELECT sql FROM sqlite_schema WHERE name = 'entry_is_never_altered'").get
    connection.execute("DROP TRIGGER entry_is_never_altered")
    connection.execute(statement, values)
    connection.execute(trigger)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "broken_at"),
    [
        ("UPDATE entry SET actor = 'someone else' WHERE sequence = 2", 2),
        ("UPDATE entry SET at_ms = at_ms + 1 WHERE sequence = 3", 3),
        ("UPDATE entry SET outcome = 'danied' WHERE sequence = 2", 2),
        ("DELETE FROM entry WHERE sequence = 2", 3),
        ("DELETE FROM entry WHERE sequence = 1", 2),
    ],
)
def test_tampering_breaks_the_chain(tmp_path: Path, opener: Opener, statement: str, broken_at: int) -> None:
    """A row that is altered or taken out by hand is found, and which one it was."""
    filled(opener(), 4).close()
    tamper(tmp_path, statement)
    assert opener().verify().broken_at == broken_at


def test_a_forged_hash_breaks_what_follows(tmp_path: Path, opener: Opener) -> None:
    """Whoever alters a row and reckons its hash anew would have to do so for every later row too."""
    log = filled(opener(), 4)
    before = bytes.fromhex(log.entries("a", before=2)[0].chain)
    log.close()
    forged = msgspec.structs.replace(entry(1), actor="someone else")
    change = "UPDATE entry SET actor = ?, chain = ? WHERE sequence = 2"
    tamper(tmp_path, change, (forged.actor, chain_hash(before, 2, forged)))
    assert opener().verify().broken_at == 3


def test_cutting_the_end_changes_the_head(tmp_path: Path, opener: Opener) -> None:
    """Newest rows taken away leave a whole chain, but another head than the one noted before."""
    head = filled(opener(), 4).verify().head
    opener().close()
    connection = apsw.Connection(str(tmp_path / "audit.db"))
    connection.execute("DELETE FROM entry WHERE sequence = 4")
    connection.close()
    check = opener().verify()
    assert check.broken_at is None
    assert check.head != head


def test_rows_cannot_be_altered_by_statements(tmp_path: Path, opener: Opener) -> None:
    """The table itself refuses updates."""
    filled(opener(), 1).close()
    connection = apsw.Connection(str(tmp_path / "audit.db"))
    with pytest.raises(apsw.ConstraintError, match="never altered"):
        connection.execute("UPDATE entry SET actor = 'x'")
    connection.close()


def test_old_entries_go_and_the_chain_holds(opener: Opener, clock: ManualClock) -> None:
    """Beyond the retention entries are removed at the beginning, and the rest still verifies."""
    log = opener(retention_days=10)
    log.record(entry(0, at_ms=clock.now_ms() - 11 * DAY_MS))
    log.record(entry(1))
    log.flush()
    log.close()
    log = filled(opener(retention_days=10), 1)
    assert [stored.sequence for stored in log.entries("a")] == [3, 2]
    check = log.verify()
    assert (check.entries, check.broken_at) == (2, None)


def test_the_number_of_rows_is_bounded(opener: Opener) -> None:
    """Of more entries than allowed the oldest go first."""
    log = filled(opener(rows_max=50), 2000)
    log.close()
    log = filled(opener(rows_max=50), 1)
    sequences = [stored.sequence for stored in log.entries("a", limit=3000)]
    assert sequences == list(range(2001, 1951, -1))
    assert log.verify().broken_at is None


def test_texts_of_strangers_are_bounded_and_storable(opener: Opener) -> None:
    """Whatever a refused request contains is kept, cut and without what a database cannot hold."""
    log = opener()
    strange = AuditEntry(
        tenant="a", at_ms=0, actor="\ud800", action="x", object="o" * 9999, outcome=Outcome.DENIED
    )
    log.record(strange)
    log.flush()
    kept = log.entries("a")[0].entry
    assert kept.actor == "?"
    assert len(kept.object) == 500
    assert log.verify().broken_at is None


def test_a_full_queue_says_what_it_dropped(tmp_path: Path, opener: Opener) -> None:
    """When entries come faster than they can be written, their number is recorded, never lost in silence."""
    log = opener(queue_max=3)
    blocker = apsw.Connection(str(tmp_path / "audit.db"))
    blocker.execute("BEGIN IMMEDIATE")
    for number in range(20):
        log.record(entry(number))
    blocker.execute("COMMIT")
    blocker.close()
    log.flush()
    log.record(entry(20))
    log.flush()
    kept = len(log.entries("a"))
    dropped = sum(int(stored.entry.object.split()[0]) for stored in log.entries(""))
    assert kept + dropped == 21
    assert dropped > 0


def test_what_cannot_be_written_is_said_and_kept(opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """Flush raises while the store cannot be written; the entry is written once it can again."""
    log = opener()
    monkeypatch.setattr("tocsin.access.audit._RETRY_S", 0.01)
    original = log._append

    def failing(group: Any) -> None:
        raise StorageUnavailableError("read-only")

    monkeypatch.setattr(log, "_append", failing)
    log.record(entry(1))
    with pytest.raises(StorageUnavailableError):
        log.flush()
    monkeypatch.setattr(log, "_append", original)
    while not log.entries("a"):
        time.sleep(0.005)
    log.flush()
    assert [stored.entry for stored in log.entries("a")] == [entry(1)]


def test_flush_tries_again_at_once_and_does_not_raise_what_is_over(
    opener: Opener, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failure from before the call is neither raised again nor waited for: its entry is written now."""
    log = opener()
    monkeypatch.setattr("tocsin.access.audit._RETRY_S", 3_600)
    original = log._append

    def failing(group: Any) -> None:
        raise StorageUnavailableError("read-only")

    monkeypatch.setattr(log, "_append", failing)
    log.record(entry(1))
    for _ in range(2):
        with pytest.raises(StorageUnavailableError):
            log.flush()
    monkeypatch.setattr(log, "_append", original)
    log.flush()
    assert [stored.entry for stored in log.entries("a")] == [entry(1)]


def test_flush_after_closing_says_that_nothing_is_written_any_more(opener: Opener) -> None:
    """An entry that comes after the end is refused, not waited for."""
    log = opener()
    log.close()
    log.record(entry(1))
    with pytest.raises(StorageUnavailableError):
        log.flush()


def test_closing_does_not_wait_for_a_broken_store(opener: Opener, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a store that stays broken, closing ends at once and says in the log what was lost."""
    lost: list[dict[str, Any]] = []
    monkeypatch.setattr("tocsin.access.audit._log.error", lambda event, **fields: lost.append(fields))
    log = opener()

    def failing(group: Any) -> None:
        raise StorageUnavailableError("read-only")

    monkeypatch.setattr(log, "_append", failing)
    log.record(entry(1))
    with pytest.raises(StorageUnavailableError):
        log.flush()
    log.close()
    assert lost == [{"entries": 1}]


def test_nothing_is_made_that_cannot_be_recorded(
    tmp_path: Path, opener: Opener, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token is shown once: without its entry there is none, and the entry written later says so."""
    log = opener()
    trail = AuditTrail(log, clock, Meters())
    access = AccessStore(tmp_path / "credentials.db", clock)
    access.bootstrap_admin()
    (first,) = access.credentials(DEFAULT_TENANT)
    admin = Principal(DEFAULT_TENANT, frozenset({Role.ADMIN}), first.key_id, "", DeviceScope())
    credentials, tenants = Credentials(access, trail), Tenants(access, trail)
    new = NewCredential(tenant="", kind=CredentialKind.API_KEY, name="new", roles=(Role.VIEWER,))
    with monkeypatch.context() as broken:
        broken.setattr(log, "_append", _no_room)
        with pytest.raises(StorageUnavailableError):
            credentials.create(admin, new)
        with pytest.raises(StorageUnavailableError):
            tenants.create(admin, "acme")
    assert access.credentials(DEFAULT_TENANT) == [first]
    assert access.tenants() == [DEFAULT_TENANT]
    _wait_until_written(log)
    token = tenants.create(admin, "acme").token
    assert access.authenticate(token).tenant == "acme"
    told = [(stored.entry.action, stored.entry.outcome) for stored in log.entries(DEFAULT_TENANT)]
    assert told == [
        ("tenant.create", Outcome.ALLOWED),
        ("tenant.create", Outcome.FAILED),
        ("tenant.create", Outcome.ALLOWED),
        ("credential.create", Outcome.FAILED),
        ("credential.create", Outcome.ALLOWED),
    ]
    access.close()


def test_who_runs_the_installation_sees_requests_without_a_credential(
    opener: Opener, clock: ManualClock
) -> None:
    """They concern no tenant, so no other tenant's admin sees them."""
    log = opener()
    trail = AuditTrail(log, clock, Meters())
    trail.refused(None, "GET", "/v1/devices", "192.0.2.1", "unauthenticated")
    log.flush()
    seen = {}
    for tenant in (DEFAULT_TENANT, "acme"):
        admin = Principal(tenant, frozenset({Role.ADMIN}), "k1", "", DeviceScope())
        seen[tenant] = [stored.entry.object for stored in trail.page(admin, before=None, limit=10)[0]]
    assert seen == {DEFAULT_TENANT: ["/v1/devices"], "acme": []}


def _wait_until_written(log: AuditLog) -> None:
    while True:
        with suppress(StorageUnavailableError):
            return log.flush()
        time.sleep(0.02)


def _no_room(_: object) -> None:
    raise StorageUnavailableError("the disk is away")
