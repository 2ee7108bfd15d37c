"""What stands in the blob store about dumps beside their bytes: who was first, and what has been logged."""

from __future__ import annotations

import msgspec

from tocsin.control import DumpOutcome


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the first body that came with a sequence: what every repeat is answered."""

    sha256: str
    size_bytes: int
    outcome: DumpOutcome
    members: int = 0
    unpacked_bytes: int = 0
    code: str = ""
    detail: str = ""


def sequence_claim(tenant: str, device: str, sequence: int) -> str:
    """The claim that stands for the first body of a sequence, as JSON of Kept.

    >>> sequence_claim("t", "a/1", 1)
    '["t","a/1",1]'
    """
    return msgspec.json.encode((tenant, device, sequence)).decode()


def logged_claim(tenant: str, device: str, sequence: int, sha256: str) -> str:
    """The claim that says that this body of the sequence is in the log."""
    return msgspec.json.encode((tenant, device, sequence, sha256)).decode()
