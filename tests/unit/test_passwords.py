"""Passwords: hashed by Argon2id, a few at a time, and none that is easily guessed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextvars import ContextVar

import pytest

from tocsin.access.passwords import HashCost, Passwords, check_password, one_time_password
from tocsin.errors import BackpressureError, CorruptError, InvalidInputError

CHEAP = HashCost(passes=1, memory_kib=64)
GOOD = "the bell rings at noon"
asked_by: ContextVar[str] = ContextVar("asked_by", default="nobody")


@pytest.fixture
def passwords() -> Iterator[Passwords]:
    made = Passwords(CHEAP)
    yield made
    made.close()


def test_a_password_proves_itself_and_nothing_else_does(passwords: Passwords) -> None:
    """Each hash has a salt of its own; another password, an empty one and one with a surrogate are wrong."""
    kept = passwords.hash(GOOD)
    assert kept.startswith("$argon2id$")
    assert kept != passwords.hash(GOOD)
    assert passwords.proves(GOOD, kept)
    for wrong in ("", GOOD + " ", GOOD.title(), "\ud800" * 12, "x" * 100_000):
        assert not passwords.proves(wrong, kept)


def test_a_keyboard_that_composes_otherwise_types_the_same_password(passwords: Passwords) -> None:
    """é as one character and as two are the same to whoever types them."""
    assert passwords.proves("cafe\u0301 at the corner", passwords.hash("caf\u00e9 at the corner"))


def test_nobody_s_password_is_never_proved(passwords: Passwords) -> None:
    """For a name that nobody has there is no hash, and no password either."""
    assert not passwords.proves(GOOD, None)


def test_nobody_s_password_takes_the_work_of_a_real_one(
    passwords: Passwords, monkeypatch: pytest.MonkeyPatch
) -> None:
    """How long an answer takes says nothing about which names there are: a hash is made at the full cost."""
    made: list[str] = []
    real = passwords.hash

    def counted(password: str) -> str:
        made.append(real(password))
        return made[-1]

    monkeypatch.setattr(passwords, "hash", counted)
    passwords.proves(GOOD, None)
    assert [passwords.is_outdated(kept) for kept in made] == [False]


def test_a_damaged_hash_is_no_wrong_password(passwords: Passwords) -> None:
    """Nobody is told that the password is wrong when it is the disk that is."""
    with pytest.raises(CorruptError):
        passwords.proves(GOOD, "$argon2id$v=19$m=64,t=1,p=1$nonsense")


def test_a_hash_of_another_cost_is_outdated(passwords: Passwords) -> None:
    """It goes on working, and is made anew at the next sign-in."""
    dearer = Passwords(HashCost(passes=2, memory_kib=64))
    kept = passwords.hash(GOOD)
    assert (passwords.is_outdated(kept), dearer.is_outdated(kept)) == (False, True)
    assert dearer.proves(GOOD, kept)
    dearer.close()


def test_the_cost_in_force_is_that_of_the_rfc() -> None:
    """RFC 9106's second choice: 64 MiB and three passes; a change here is a decision (ADR 0060)."""
    assert HashCost() == HashCost(passes=3, memory_kib=65_536, lanes=1)


def test_at_most_two_are_hashed_at_once_and_what_waits_is_bounded() -> None:
    """Sign-ins can't take all memory or every thread: beyond the bound they are asked to come again."""
    passwords = Passwords(CHEAP, at_once=2, waiting_max=1)
    gate, running = threading.Event(), threading.Semaphore(0)

    def work() -> None:
        running.release()
        gate.wait(30)

    submitted = [passwords.submit(holder, work) for holder in ("one", "one", "other")]
    for _ in range(2):
        assert running.acquire(timeout=30)
    assert not running.acquire(blocking=False)
    with pytest.raises(BackpressureError) as refused:
        passwords.submit("a third", work)
    assert refused.value.retry_after_s
    gate.set()
    for each in submitted:
        each.result(30)
    passwords.submit("one", work).result(30)
    passwords.close()


def test_nobody_takes_every_place() -> None:
    """Whoever asks for as many as there are gets half of them; others come in beside, and later again."""
    passwords = Passwords(CHEAP, at_once=1, waiting_max=9)
    gate = threading.Event()
    submitted = [passwords.submit("greedy", lambda: gate.wait(30)) for _ in range(5)]
    with pytest.raises(BackpressureError):
        passwords.submit("greedy", lambda: True)
    submitted.append(passwords.submit("other", lambda: True))
    gate.set()
    assert all(each.result(30) for each in submitted)
    assert passwords.submit("greedy", lambda: True).result(30)
    passwords.close()


def test_what_hashes_belongs_to_the_trace_of_who_asked(passwords: Passwords) -> None:
    """Though it is done by another thread."""
    before = asked_by.set("maria")
    assert passwords.submit("maria", asked_by.get).result(30) == "maria"
    asked_by.reset(before)


@pytest.mark.parametrize(
    "password",
    [
        "",
        "too short 1",
        "a" * 20,
        "abcabcabcabcabc",
        "x" * 129,
        "maria1234567",
        "MARIA1234567",
        "1Maria1",
        "\u0301" * 12,
    ],
)
def test_what_is_easily_guessed_is_refused(password: str) -> None:
    """Short, monotonous, or the name with something around it; the field at fault is named."""
    with pytest.raises(InvalidInputError) as caught:
        check_password(password, "maria")
    assert caught.value.field == "new"


@pytest.mark.parametrize("password", [GOOD, "Maria and the seven pumps", "пароль для насоса"])
def test_long_ones_of_any_script_are_taken(password: str) -> None:
    """No rule about kinds of characters."""
    check_password(password, "maria")


def test_one_time_passwords_are_taken_as_passwords() -> None:
    """They are long enough by the same rule, and no two are alike."""
    made = {one_time_password() for _ in range(100)}
    assert len(made) == 100
    for password in made:
        check_password(password, "maria")
