"""Credentials: made once, shown once, checked at every request, ended at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from tocsin.access.credential import Credential, CredentialKind, NewCredential
from tocsin.access.person import NewPerson
from tocsin.access.principal import Role, Scope
from tocsin.access.store import AccessStore
from tocsin.access.token import Token
from tocsin.clock import ManualClock
from tocsin.errors import (
    ConflictError,
    InvalidInputError,
    NotFoundError,
    StorageFullError,
    UnauthenticatedError,
)
from tocsin.events import Strings
from tocsin.storage.scripts import load_scripts
from tocsin.storage.writer import Writer

DEVICES = Strings.of(["pump-7", "pump-8", "fan-1"])


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(1_000_000)


@pytest.fixture
def store(tmp_path: Path, clock: ManualClock) -> Iterator[AccessStore]:
    """A store with the tenants a and b."""
    opened = AccessStore(tmp_path / "credentials.db", clock)
    opened.create_tenant("a", created_by="test")
    opened.create_tenant("b", created_by="test")
    yield opened
    opened.close()


def listed(store: AccessStore, tenant: str, **page: Any) -> list[Credential]:
    """The tenant's credentials without its first key."""
    return [each for each in store.credentials(tenant, **page) if each.name != "first admin"]


def made(store: AccessStore, **changed: Any) -> tuple[Credential, str]:
    """A viewer's key of tenant a, or what `changed` says."""
    asked = {"tenant": "a", "kind": CredentialKind.API_KEY, "name": "n", "roles": (Role.VIEWER,)} | changed
    return store.create(NewCredential(**asked), created_by="test")


def test_a_token_stands_for_its_credential(store: AccessStore) -> None:
    """Tenant, roles and name come from what was stored when the token was made."""
    credential, token = made(store, name="wall display")
    principal = store.authenticate(token)
    assert (principal.tenant, principal.roles, principal.name) == (
        "a",
        frozenset({Role.VIEWER}),
        "wall display",
    )
    assert principal.key_id == credential.key_id
    assert store.authenticate(token) is principal


@pytest.mark.parametrize(
    ("changed", "covered"),
    [
        ({"kind": CredentialKind.DEVICE, "roles": (), "devices": ("pump-7",)}, [True, False, False]),
        ({"kind": CredentialKind.GATEWAY, "roles": (), "devices": ("pump-8", "fan-1")}, [False, True, True]),
        ({"kind": CredentialKind.GATEWAY, "roles": (), "patterns": ("pump-*",)}, [True, True, False]),
        ({"kind": CredentialKind.GATEWAY, "roles": (), "all_devices": True}, [True, True, True]),
        ({}, [True, True, True]),
    ],
)
def test_each_kind_speaks_for_its_devices(
    store: AccessStore, changed: dict[str, Any], covered: list[bool]
) -> None:
    """A device token speaks for one, a gateway for those it names, an API key for the tenant's."""
    principal = store.authenticate(made(store, **changed)[1])
    assert principal.may_speak_for(DEVICES).tolist() == covered
    assert (Role.DEVICE in principal.roles) == bool(changed)


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"roles": ()}, "roles"),
        ({"roles": (Role.ADMIN, Role.DEVICE)}, "roles"),
        ({"devices": ("pump-7",)}, "devices"),
        ({"kind": CredentialKind.DEVICE, "roles": ()}, "devices"),
        ({"kind": CredentialKind.DEVICE, "roles": (), "devices": ("a", "b")}, "devices"),
        ({"kind": CredentialKind.DEVICE, "roles": (), "devices": ("a",), "all_devices": True}, "devices"),
        ({"kind": CredentialKind.DEVICE, "roles": (Role.ADMIN,), "devices": ("a",)}, "roles"),
        ({"kind": CredentialKind.GATEWAY, "roles": ()}, "devices"),
        ({"kind": CredentialKind.GATEWAY, "roles": (), "devices": ("",)}, "devices"),
        ({"kind": CredentialKind.GATEWAY, "roles": (), "patterns": ("x" * 257,)}, "patterns"),
        ({"kind": CredentialKind.GATEWAY, "roles": (), "patterns": ("x",) * 101}, "patterns"),
        ({"kind": CredentialKind.GATEWAY, "roles": (), "devices": ("x",) * 100_001}, "devices"),
        ({"name": ""}, "name"),
        ({"expires_ms": 1_000_000}, "expires_ms"),
        ({"tenant": "../a"}, "tenant"),
    ],
)
def test_wrong_wishes_are_refused(store: AccessStore, changed: dict[str, Any], field: str) -> None:
    """What makes no sense is refused with the field at fault, and nothing is stored."""
    with pytest.raises(InvalidInputError) as caught:
        made(store, **changed)
    assert caught.value.field == field
    assert listed(store, "a") == []


@pytest.mark.parametrize(
    "change", [lambda t: t[:-1] + ("A" if t[-1] != "A" else "B"), lambda t: t + "A", lambda t: t[4:]]
)
def test_a_token_must_be_right_to_the_last_character(store: AccessStore, change: Any) -> None:
    """Any other text is refused, with the same words whatever is wrong with it."""
    _, token = made(store)
    for text in ("", "tcs__", f"tcs_{'0' * 16}_{'A' * 43}", change(token)):
        with pytest.raises(UnauthenticatedError, match="unknown, expired or revoked"):
            store.authenticate(text)


def test_expiry_ends_a_credential(store: AccessStore, clock: ManualClock) -> None:
    """From its time of expiry on a token is refused, also when it was in use just before."""
    _, token = made(store, expires_ms=clock.now_ms() + 500)
    store.authenticate(token)
    clock.sleep(0.5)
    with pytest.raises(UnauthenticatedError):
        store.authenticate(token)


def test_revocation_ends_a_credential_at_once(store: AccessStore) -> None:
    """The next request after the revocation is refused; revoking again changes nothing."""
    credential, token = made(store)
    store.authenticate(token)
    store.revoke("a", credential.key_id)
    with pytest.raises(UnauthenticatedError):
        store.authenticate(token)
    (first,) = listed(store, "a")
    store.revoke("a", credential.key_id)
    assert listed(store, "a") == [first]


def test_a_credential_that_is_revoked_while_it_is_read_is_not_kept(
    store: AccessStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request that has read it just before lets no later one in."""
    credential, token = made(store)
    remember = store._remember

    def slowly(*read: Any) -> Any:
        store.revoke("a", credential.key_id)
        return remember(*read)

    monkeypatch.setattr(store, "_remember", slowly)
    store.authenticate(token)  # it was asked for before
    monkeypatch.setattr(store, "_remember", remember)
    with pytest.raises(UnauthenticatedError):
        store.authenticate(token)


def test_revocation_by_another_process_is_seen_within_a_second(
    tmp_path: Path, store: AccessStore, clock: ManualClock
) -> None:
    """What is kept in memory is asked for again after a second."""
    credential, token = made(store)
    store.authenticate(token)
    other = AccessStore(tmp_path / "credentials.db", clock)
    other.revoke("a", credential.key_id)
    other.close()
    clock.sleep(1.0)
    with pytest.raises(UnauthenticatedError):
        store.authenticate(token)


def test_tenants_do_not_see_each_other(store: AccessStore) -> None:
    """A tenant can neither list nor revoke another's credentials."""
    credential, token = made(store)
    assert listed(store, "b") == []
    with pytest.raises(NotFoundError):
        store.revoke("b", credential.key_id)
    assert store.authenticate(token).tenant == "a"


def test_credentials_are_listed_in_pages(store: AccessStore) -> None:
    """Pages by key id hold each credential once."""
    first = store.credentials("a")[0].key_id
    ids = sorted([first, *(made(store)[0].key_id for _ in range(5))])
    seen: list[str] = []
    while page := store.credentials("a", after=seen[-1] if seen else "", limit=2):
        seen += [credential.key_id for credential in page]
    assert seen == ids


def test_last_use_is_remembered(store: AccessStore, clock: ManualClock) -> None:
    """A list shows when a credential was last used; nothing is written at the time of use."""
    _, token = made(store)
    assert listed(store, "a")[0].last_used_ms is None
    clock.sleep(5)
    store.authenticate(token)
    assert listed(store, "a")[0].last_used_ms == clock.now_ms()


def test_a_full_disk_does_not_keep_it_from_closing(
    tmp_path: Path, store: AccessStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written once there is room; only at the end it is left out."""
    _, token = made(store)
    clock.sleep(5)
    store.authenticate(token)
    with monkeypatch.context() as full:
        full.setattr(Writer, "transaction", no_room)
        with pytest.raises(StorageFullError):
            store.write_last_used()
    store.write_last_used()
    clock.sleep(5)
    store.authenticate(token)
    with monkeypatch.context() as full:
        full.setattr(Writer, "transaction", no_room)
        store.close()
    again = AccessStore(tmp_path / "credentials.db", clock)
    assert listed(again, "a")[0].last_used_ms == clock.now_ms() - 5000
    again.close()


def no_room(_: Writer) -> NoReturn:
    raise StorageFullError("no room")


def test_no_secret_is_stored_or_shown(tmp_path: Path, store: AccessStore) -> None:
    """The files hold no part of a secret that would help, nor does any representation."""
    credential, token = made(store)
    secret = token.split("_", 2)[2]
    principal = store.authenticate(token)
    store.close()
    assert not any(secret.encode() in path.read_bytes() for path in tmp_path.iterdir())
    parsed = Token.parse(token)
    assert secret not in f"{credential} {principal} {parsed!r}"
    assert re.fullmatch(r"tcs_[0-9a-f]{16}_[\w-]{43}", token)


def test_first_start_makes_one_admin_key(tmp_path: Path, clock: ManualClock) -> None:
    """A new store makes the tenant default and an admin key; it never does so again."""
    fresh = AccessStore(tmp_path / "new.db", clock)
    token = fresh.bootstrap_admin()
    assert token is not None
    assert fresh.tenants() == ["default"]
    assert fresh.authenticate(token).roles == {Role.ADMIN}
    assert fresh.bootstrap_admin() is None
    (credential,) = fresh.credentials("default")
    fresh.revoke("default", credential.key_id)
    fresh.close()
    again = AccessStore(tmp_path / "new.db", clock)
    assert again.bootstrap_admin() is None
    again.close()
    again.close()


def test_a_tenant_comes_with_its_first_key_or_not_at_all(
    store: AccessStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenant without a key could never get one, so a crash in between must leave no tenant."""
    _, token = store.create_tenant("c", created_by="k1")
    principal = store.authenticate(token)
    assert (principal.tenant, principal.roles) == ("c", frozenset({Role.ADMIN}))

    def killed() -> Token:
        raise KeyboardInterrupt

    monkeypatch.setattr(Token, "generate", killed)
    with pytest.raises(KeyboardInterrupt):
        store.create_tenant("d", created_by="k1")
    assert store.tenants() == ["a", "b", "c"]


def test_tenants_are_made_once(store: AccessStore) -> None:
    """A name is taken once; a credential needs a tenant that exists."""
    with pytest.raises(ConflictError):
        store.create_tenant("a", created_by="test")
    with pytest.raises(NotFoundError):
        made(store, tenant="c")
    assert store.tenants() == ["a", "b"]


@pytest.mark.parametrize("bounds", [{"known_max": 2}, {"devices_max": 3}])
def test_memory_is_bounded(tmp_path: Path, clock: ManualClock, bounds: dict[str, Any]) -> None:
    """More credentials than are kept in memory still work, and those revoked stay refused."""
    small = AccessStore(tmp_path / "small.db", clock, **bounds)
    small.create_tenant("a", created_by="test")
    gateway: dict[str, Any] = {"kind": CredentialKind.GATEWAY, "roles": (), "devices": ("d1", "d2")}
    credentials = [made(small, **gateway) for _ in range(5)]
    small.revoke("a", credentials[0][0].key_id)
    for _, token in credentials[1:] * 2:
        assert small.authenticate(token).tenant == "a"
        assert len(small._known) <= 2
    with pytest.raises(UnauthenticatedError):
        small.authenticate(credentials[0][1])
    small.close()


@pytest.mark.parametrize("name", ["credentials", "audit"])
def test_migrations_make_the_schema(name: str) -> None:
    """Applying the migrations one by one gives the documented schema."""
    scripts = load_scripts("tocsin.access", name)
    assert "".join(scripts.migrations) == scripts.schema


def test_of_many_keys_of_a_person_those_that_are_over_are_forgotten_first(
    store: AccessStore, clock: ManualClock
) -> None:
    """Whoever makes and ends one each day leaves no more than the newest, and no key in force goes."""
    person = store.people.create(
        NewPerson(tenant="a", name="anna", display_name="Anna", roles=(Role.VIEWER,), technician=None),
        password_hash="x",
        one_time_until_ms=None,
        created_by="test",
        tell=lambda _: None,
    )

    def make() -> str:
        clock.sleep(1.0)
        key, _ = store.keys.create(
            "a",
            person.person_id,
            name="phone",
            scopes=(Scope.READ,),
            expires_ms=clock.now_ms() + 86_400_000,
            tell=lambda _: None,
        )
        return key.key_id

    lasting = make()
    ended = [make() for _ in range(3)]
    for key_id in ended:
        store.revoke_key("a", person.person_id, key_id, tell=lambda _: None)
    for _ in range(98):
        ended.append(make())
        store.revoke_key("a", person.person_id, ended[-1], tell=lambda _: None)
    kept = [key.key_id for key in store.keys.of("a", person.person_id)]
    assert kept == [*reversed(ended[1:]), lasting]
