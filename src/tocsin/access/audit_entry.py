"""One entry of the audit log, and the hash that ties it to the one before."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import Final

import msgspec

TEXT_CHARACTERS_MAX: Final = 500


class Outcome(StrEnum):
    """How it ended."""

    ALLOWED = "allowed"
    DENIED = "denied"  # no credential, or not for this
    FAILED = "failed"  # allowed, but it could not be done


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what to what, when, from where, and with what outcome.

    `tenant` is empty where no credential was known. `actor` is a key id or the name of a part of Tocsin;
    `action` a verb with its noun, such as `credential.revoke`; `object` names what it was done to.
    Never holds secrets. Texts are cut at 500 characters.
    """

    tenant: str
    at_ms: int
    actor: str
    action: str
    object: str
    outcome: Outcome
    address: str = ""
    detail: str = ""


class StoredEntry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry in its place. `chain` is the hash of the entry and of everything before it, as hex."""

    sequence: int
    entry: AuditEntry
    chain: str


def chain_hash(previous: bytes, sequence: int, entry: AuditEntry) -> bytes:
    """SHA-256 over the hash before, the place and every field; lengths are part of the encoding."""
    payload = msgspec.msgpack.encode((sequence, msgspec.structs.astuple(entry)))
    return hashlib.sha256(previous + payload).digest()


def clipped(entry: AuditEntry) -> AuditEntry:
    """The entry with texts of bounded length that SQLite can keep.

    >>> clipped(AuditEntry(tenant="a", at_ms=0, actor="k", action="x", object="é" * 600,
    ...                    outcome=Outcome.DENIED)).object[-2:]
    'é…'
    """
    texts = {name: getattr(entry, name) for name in ("actor", "action", "object", "address", "detail")}
    # names in denied requests are anything a stranger likes, lone surrogates and NUL included
    safe = {name: text.encode(errors="replace").decode().replace("\0", "?") for name, text in texts.items()}
    cut = {
        name: text if len(text) <= TEXT_CHARACTERS_MAX else text[: TEXT_CHARACTERS_MAX - 1] + "…"
        for name, text in safe.items()
    }
    return msgspec.structs.replace(entry, **cut)
