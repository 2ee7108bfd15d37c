"""Sessions of browsers: on disk, by a secret that is not, and over when their holder is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import apsw
import pytest

from tocsin.access.credential import CredentialKind, NewCredential
from tocsin.access.person import NewPerson, Person, PersonChange
from tocsin.access.principal import Principal, Role
from tocsin.access.sessions import PER_HOLDER_MAX, SessionLimits
from tocsin.access.store import AccessStore
from tocsin.clock import ManualClock
from tocsin.errors import NotFoundError, StorageFullError, UnauthenticatedError
from tocsin.storage.writer import Writer

LIMITS = SessionLimits(whole_ms=10_000, idle_ms=3_000)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000_000)


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[AccessStore]:
    """A store with the tenant a."""
    opened = reopened(tmp_path, clock)
    opened.create_tenant("a", created_by="test")
    yield opened
    opened.close()


def reopened(folder: Path, clock: ManualClock) -> AccessStore:
    return AccessStore(folder / "access.db", clock, sessions=LIMITS)


def let_in(store: AccessStore, name: str = "maria") -> Person:
    return store.people.create(
        NewPerson(tenant="a", name=name, display_name="Maria", roles=(Role.TECHNICIAN,)),
        password_hash="kept",
        one_time_until_ms=None,
        created_by="k",
        tell=lambda _: None,
    )


def enter(store: AccessStore, person: Person) -> str:
    return store.people.enter(
        person, password_hash="kept", address="192.0.2.7", agent="phone", tell=lambda _: None
    )


def kept(folder: Path) -> list[int]:
    """When each session was last used that lies in the file."""
    connection = apsw.Connection(str(folder / "access.db"), flags=apsw.SQLITE_OPEN_READONLY)
    rows: list[Any] = connection.execute("SELECT used_ms FROM session").fetchall()
    connection.close()
    return [used_ms for (used_ms,) in rows]


def is_over(store: AccessStore, cookie: str) -> bool:
    try:
        store.sessions.find(cookie)
    except UnauthenticatedError:
        return True
    return False


def test_a_cookie_stands_for_its_person_after_a_restart_too(
    store: AccessStore, tmp_path: Path, clock: ManualClock
) -> None:
    """Who, from where, with what; the token against forged requests stays the same."""
    person = let_in(store)
    cookie = enter(store, person)
    before = store.sessions.find(cookie)
    store.close()
    again = reopened(tmp_path, clock)
    after = again.sessions.find(cookie)
    assert (after.principal, after.csrf) == (before.principal, before.csrf)
    assert (after.principal.person, after.principal.name) == (person.person_id, "Maria")
    assert (after.session.address, after.session.agent) == ("192.0.2.7", "phone")
    again.close()


def test_the_file_holds_no_live_session(store: AccessStore, tmp_path: Path) -> None:
    """Whoever reads the folder can neither use a cookie nor make one."""
    cookie = enter(store, let_in(store))
    secret = cookie.partition(".")[2]
    csrf = store.sessions.find(cookie).csrf
    store.close()
    for file in tmp_path.iterdir():
        content = file.read_bytes()
        assert secret.encode() not in content
        assert csrf.encode() not in content


def test_any_other_cookie_is_refused(store: AccessStore) -> None:
    """Right to the last character; the session id alone is worth nothing."""
    cookie = enter(store, let_in(store))
    other = enter(store, let_in(store, "tom"))
    mixed = cookie.partition(".")[0] + "." + other.partition(".")[2]
    for wrong in ("", "a", cookie[:-1], cookie + "A", mixed, "0" * 16 + cookie[16:]):
        assert is_over(store, wrong), wrong
        assert store.sessions.known(wrong) is None
    assert store.sessions.find(cookie).csrf != store.sessions.find(other).csrf


def test_a_session_is_over_after_its_time_and_when_it_is_not_used(
    store: AccessStore, clock: ManualClock
) -> None:
    """Use keeps it, but not beyond the end that it had from the beginning."""
    person = let_in(store)
    cookie, idle = enter(store, person), enter(store, person)
    for _ in range(4):
        clock.sleep(2.4)
        assert not is_over(store, cookie)
    assert is_over(store, idle)
    assert len(store.sessions.of("a", person.person_id)) == 1
    clock.sleep(0.5)
    assert is_over(store, cookie)


def test_use_is_remembered_over_a_restart(store: AccessStore, tmp_path: Path, clock: ManualClock) -> None:
    """A session that was used just before a restart is not idle after it; what is over is removed."""
    person = let_in(store)
    cookie, idle = enter(store, person), enter(store, person)
    clock.sleep(2.0)
    store.sessions.find(cookie)
    store.close()
    clock.sleep(2.0)
    again = reopened(tmp_path, clock)
    assert not is_over(again, cookie)
    assert is_over(again, idle)
    again.write_last_used()
    assert len(kept(tmp_path)) == 1
    again.close()


def test_the_last_use_is_not_lost_where_it_could_not_be_written(
    store: AccessStore, tmp_path: Path, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a full disk it waits for room."""
    cookie = enter(store, let_in(store))
    clock.sleep(2.0)
    store.sessions.find(cookie)

    def full() -> None:
        raise StorageFullError("no room")

    with monkeypatch.context() as patch:
        patch.setattr(store.sessions._writer, "transaction", full)
        with pytest.raises(StorageFullError):
            store.write_last_used()
    store.write_last_used()
    assert kept(tmp_path) == [1_000_000 + 2_000]


def test_the_last_use_is_the_latest_that_any_process_saw(
    store: AccessStore, tmp_path: Path, clock: ManualClock
) -> None:
    """Whoever writes later what was seen earlier takes nothing back."""
    cookie = enter(store, let_in(store))
    other = reopened(tmp_path, clock)
    clock.sleep(1.0)
    store.sessions.find(cookie)
    clock.sleep(1.0)
    other.sessions.find(cookie)
    other.close()
    store.write_last_used()
    assert kept(tmp_path) == [1_000_000 + 2_000]


def test_writing_down_the_last_use_is_no_pause(store: AccessStore, clock: ManualClock) -> None:
    """Who asks all the time stays signed in, also between the moment that it is stored and the next reading
    of the file.
    """
    cookie = enter(store, let_in(store))
    clock.sleep(2.5)
    store.sessions.find(cookie)
    store.write_last_used()
    clock.sleep(0.9)  # as read from the file before, it was last used 3.4 s ago
    assert not is_over(store, cookie)


def test_who_asks_while_the_last_use_is_written_down_stays_signed_in(
    store: AccessStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file has not been told yet, and what is to be told is in nobody's hands any more."""
    cookie, transaction = enter(store, let_in(store)), Writer.transaction
    over: list[bool] = []
    clock.sleep(2.5)
    store.sessions.find(cookie)

    def slowly(writer: Writer) -> AbstractContextManager[apsw.Connection]:
        if not over:
            clock.sleep(1.0)  # so that the session is read again, last used 3.5 s ago
            over.append(is_over(store, cookie))
        return transaction(writer)

    monkeypatch.setattr(Writer, "transaction", slowly)
    store.write_last_used()
    assert over == [False]


@pytest.mark.parametrize("ends", ["disabled", "ended"])
def test_what_ends_while_it_is_read_is_over(
    store: AccessStore, monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    """A request that has read a session just before it ends does not keep it for others."""
    maria = let_in(store)
    cookie, in_force = enter(store, maria), store.in_force

    def slowly(tenant: str, holder: str) -> Principal | None:
        found = in_force(tenant, holder)
        monkeypatch.setattr(store.sessions, "_in_force", in_force)
        if ends == "disabled":
            change = PersonChange(disabled=True)
            store.people.change("a", maria.person_id, change, revision=None, tell=lambda _: None)
        else:
            store.sessions.end("a", maria.person_id, cookie.partition(".")[0])
        return found

    monkeypatch.setattr(store.sessions, "_in_force", slowly)
    is_over(store, cookie)  # it was asked for before
    assert is_over(store, cookie)


def test_disabling_ends_what_somebody_is_signed_in_to(store: AccessStore) -> None:
    """At the next request, and enabling brings nothing back."""
    person = let_in(store)
    cookie, other = enter(store, person), enter(store, let_in(store, "tom"))
    store.sessions.find(cookie)
    for disabled in (True, False):
        change = PersonChange(disabled=disabled)
        store.people.change("a", person.person_id, change, revision=None, tell=lambda _: None)
        assert is_over(store, cookie)
    assert not is_over(store, other)


def test_a_new_password_ends_all_sessions_but_the_one_that_asked(store: AccessStore) -> None:
    """Whoever has stolen a cookie has lost it."""
    person = let_in(store)
    own, stolen = enter(store, person), enter(store, person)
    store.sessions.find(stolen)
    here = store.sessions.find(own).session.session_id
    store.people.set_password(
        "a",
        person.person_id,
        "new",
        one_time_until_ms=None,
        revision=1,
        but_session=here,
        tell=lambda _: None,
    )
    assert (is_over(store, own), is_over(store, stolen)) == (False, True)


def test_nobody_enters_by_a_password_that_was_replaced_meanwhile(store: AccessStore) -> None:
    """A sign-in that was proved before a change and finished after it is none."""
    person = let_in(store)
    store.people.set_password(
        "a", person.person_id, "new", one_time_until_ms=None, revision=1, tell=lambda _: None
    )
    with pytest.raises(UnauthenticatedError, match="meanwhile"):
        enter(store, person)
    assert store.sessions.of("a", person.person_id) == []


def test_other_roles_act_at_once(store: AccessStore) -> None:
    """A session has the roles of its person as they are now."""
    person = let_in(store)
    cookie = enter(store, person)
    store.sessions.find(cookie)
    change = PersonChange(roles=(Role.VIEWER,))
    store.people.change("a", person.person_id, change, revision=None, tell=lambda _: None)
    assert store.sessions.find(cookie).principal.roles == {Role.VIEWER}


def test_a_revoked_or_expired_key_has_no_sessions(
    store: AccessStore, tmp_path: Path, clock: ManualClock
) -> None:
    """A browser that was signed in by a key is out when the key is, which stands for nobody then."""
    for ends in ("revoked", "expired"):
        new = NewCredential(
            tenant="a",
            kind=CredentialKind.API_KEY,
            name=ends,
            roles=(Role.VIEWER,),
            expires_ms=clock.now_ms() + 2_000 if ends == "expired" else None,
        )
        key, _ = store.create(new, created_by="test")
        cookie = store.sessions.start("a", key.key_id, "", "")
        assert store.sessions.find(cookie).principal.key_id == key.key_id
        assert store.in_force("a", key.key_id) is not None
        if ends == "revoked":
            store.revoke("a", key.key_id)
            assert kept(tmp_path) == []
        else:
            clock.sleep(2.0)
        assert is_over(store, cookie)
        assert store.in_force("a", key.key_id) is None


def test_nobody_stands_for_anybody_in_another_tenant(store: AccessStore) -> None:
    """Neither a key nor a person, whatever a file that was put together by hand says."""
    new = NewCredential(tenant="a", kind=CredentialKind.API_KEY, name="key", roles=(Role.ADMIN,))
    key, _ = store.create(new, created_by="test")
    for holder in (key.key_id, let_in(store).person_id):
        assert store.in_force("a", holder) is not None
        assert store.in_force("b", holder) is None


def test_what_another_process_ends_is_over_within_a_second(
    store: AccessStore, tmp_path: Path, clock: ManualClock
) -> None:
    """As for credentials."""
    person = let_in(store)
    cookie = enter(store, person)
    session_id = store.sessions.find(cookie).session.session_id
    other = reopened(tmp_path, clock)
    other.sessions.end("a", person.person_id, session_id)
    other.close()
    clock.sleep(1.0)
    assert is_over(store, cookie)


def test_only_the_holder_ends_a_session(store: AccessStore) -> None:
    """Whoever knows the id of another's session has nothing of it; for the holder it is over at once."""
    person, tom = let_in(store), let_in(store, "tom")
    cookie = enter(store, person)
    session_id = store.sessions.find(cookie).session.session_id
    for tenant, holder in (("a", tom.person_id), ("b", person.person_id)):
        with pytest.raises(NotFoundError):
            store.sessions.end(tenant, holder, session_id)
    assert not is_over(store, cookie)
    store.sessions.end("a", person.person_id, session_id)
    assert is_over(store, cookie)
    with pytest.raises(NotFoundError):
        store.sessions.end("a", person.person_id, session_id)


def test_a_holder_has_a_bounded_number_of_sessions(store: AccessStore) -> None:
    """The oldest one goes."""
    person = let_in(store)
    cookies = [enter(store, person) for _ in range(PER_HOLDER_MAX + 1)]
    assert [is_over(store, cookie) for cookie in cookies[:2]] == [True, False]
    assert len(store.sessions.of("a", person.person_id)) == PER_HOLDER_MAX


def test_few_are_kept_in_memory(store: AccessStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that were used last; the others are read from the file again."""
    monkeypatch.setattr(store.sessions, "_known_max", 2)
    person = let_in(store)
    first, second, third = (enter(store, person) for _ in range(3))
    for cookie in (first, second, first, third):
        assert not is_over(store, cookie)
    in_memory = [store.sessions.known(cookie) is not None for cookie in (first, second, third)]
    assert in_memory == [True, False, True]
    assert not is_over(store, second)


def test_an_altered_session_is_noticed(store: AccessStore, tmp_path: Path, clock: ManualClock) -> None:
    """A flipped holder signs nobody in as somebody else."""
    enter(store, let_in(store))
    store.close()
    path = tmp_path / "access.db"
    path.write_bytes(path.read_bytes().replace(b"192.0.2.7", b"192.0.2.8"))
    again = reopened(tmp_path, clock)
    assert [problem for problem in again.verify() if "session" in problem]
    again.close()
