"""Passwords of people: what one has to be, and how it is hashed and compared."""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass
from typing import Final, TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from tocsin import threads
from tocsin.access.shares import Shares
from tocsin.errors import BackpressureError, CorruptError, InvalidInputError

Result = TypeVar("Result")
CHARACTERS_MIN: Final = 12
CHARACTERS_MAX: Final = 128
DIFFERENT_MIN: Final = 5
BESIDES_NAME_MIN: Final = 8
_ONE_TIME_GROUPS: Final = 4
_ONE_TIME_LETTERS: Final = "23456789abcdefghjkmnpqrstuvwxyz"  # none that looks like another one
_RETRY_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class HashCost:
    """What one hash takes. RFC 9106's second choice, with one lane instead of four (ADR 0060)."""

    passes: int = 3
    memory_kib: int = 64 << 10
    lanes: int = 1


class Passwords:
    """Hashes with Argon2id, `at_once` at a time, each of which takes `cost.memory_kib`. Thread-safe.

    A hash takes a few tenths of a second of one core on purpose. `submit` is how it is kept from the threads
    that answer requests; beyond `waiting_max` it refuses, and before that whoever has a share already.
    """

    def __init__(self, cost: HashCost | None = None, *, at_once: int = 2, waiting_max: int = 32) -> None:
        cost = cost or HashCost()
        self._hasher: Final = PasswordHasher(
            time_cost=cost.passes, memory_cost=cost.memory_kib, parallelism=cost.lanes, type=Type.ID
        )
        self._pool: Final = threads.pool(at_once, "passwords")
        self._places: Final = Shares(at_once + waiting_max)
        self._lock: Final = threads.lock()

    def submit(self, holder: str, work: Callable[[], Result]) -> threads.Future[Result]:
        """Do work that hashes; the future can't be taken back.

        BackpressureError when too much waits, or as much of this holder as is left for all others.
        """
        with self._lock:
            if not self._places.take(holder):
                raise BackpressureError("Too many people sign in at once.", retry_after_s=_RETRY_S)
        context = copy_context()  # the trace goes along
        future: threads.Future[Result] = self._pool.submit(context.run, work)
        future.add_done_callback(lambda _: self._leave(holder))
        return future

    def hash(self, password: str) -> str:
        """What is kept of a password: salt, cost and hash in one text."""
        return self._hasher.hash(_bytes(password))

    def proves(self, password: str, kept: str | None) -> bool:
        """Whether it is the password of which `kept` was made; with None, after the same work, never."""
        if kept is None:
            self.hash(password)
            return False
        try:
            return self._hasher.verify(kept, _bytes(password))
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError) as error:
            raise CorruptError("access.db: the hash of a password can't be read") from error

    def is_outdated(self, kept: str) -> bool:
        """Whether it was made at another cost than is taken today."""
        return self._hasher.check_needs_rehash(kept)

    def close(self) -> None:
        """Finish what was submitted, then end; idempotent."""
        self._pool.shutdown()

    def _leave(self, holder: str) -> None:
        with self._lock:
            self._places.give_back(holder)


def one_time_password() -> str:
    """A new random password of 99 bits, to be read out and typed.

    >>> len(one_time_password()), one_time_password() == one_time_password()
    (23, False)
    """
    groups = ("".join(secrets.choice(_ONE_TIME_LETTERS) for _ in range(5)) for _ in range(_ONE_TIME_GROUPS))
    return "-".join(groups)


def check_password(password: str, name: str) -> None:
    """InvalidInputError unless it may be the password of whoever signs in as `name`.

    Long rather than mixed: rules about kinds of characters make people choose the same few patterns.
    """
    text = _composed(password)
    if not CHARACTERS_MIN <= len(text) <= CHARACTERS_MAX:
        raise _refused(f"A password has {CHARACTERS_MIN} to {CHARACTERS_MAX} characters.")
    if len(set(text)) < DIFFERENT_MIN:
        raise _refused(f"A password has at least {DIFFERENT_MIN} different characters.")
    if name.casefold() in text.casefold() and len(text) - len(name) < BESIDES_NAME_MIN:
        raise _refused("A password is more than the name with something around it.")


def _composed(password: str) -> str:
    """The same text, whatever keyboard composed it."""
    return unicodedata.normalize("NFC", password)


def _bytes(password: str) -> bytes:
    """Lone surrogates too: they are no password, but whoever sends them gets the usual answer."""
    return _composed(password).encode("utf-8", "surrogatepass")


def _refused(detail: str) -> InvalidInputError:
    return InvalidInputError(detail, field="new")
