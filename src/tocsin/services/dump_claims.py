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


class DumpId(msgspec.Struct, frozen=True, kw_only=True):
    """Which dump of which device; `epoch` counts how often the device began its numbers anew."""

    device: str
    sequence: int
    epoch: int = 0

    def __str__(self) -> str:
        """For people and the audit log: `press-3/7`, in a later epoch `press-3/1.7`."""
        return f"{self.device}/{f'{self.epoch}.' if self.epoch else ''}{self.sequence}"


def sequence_claim(tenant: str, dump: DumpId) -> str:
    """The claim that stands for the first body of a sequence, as JSON of Kept.

    >>> sequence_claim("t", DumpId(device="a/1", sequence=7))
    '["t","a/1",7]'
    >>> sequence_claim("t", DumpId(device="a/1", sequence=7, epoch=2))
    '["t","a/1",7,2]'
    """
    return _name(tenant, dump.device, dump.sequence, epoch=dump.epoch)


def logged_claim(tenant: str, dump: DumpId, sha256: str) -> str:
    """The claim that says that this body of the sequence is in the log."""
    return _name(tenant, dump.device, dump.sequence, sha256, epoch=dump.epoch)


def _name(*parts: str | int, epoch: int) -> str:
    """The first epoch has none in its names: they are older than epochs."""
    return msgspec.json.encode((*parts, epoch) if epoch else parts).decode()
