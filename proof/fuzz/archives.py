"""Targets: archives and what is nested in them. Whatever the bytes are, they are refused or bounded."""

from __future__ import annotations

from typing import Final

from proof.fuzz.target import FoundError, Target
from tests.dump_kit import Hostile, Part, good_archive, nested_quotes, streamed_archive
from tocsin.dumps.archive import Archive
from tocsin.dumps.faults import ArchiveError
from tocsin.dumps.limits import ArchiveLimits
from tocsin.dumps.lines import line_blocks
from tocsin.dumps.source import BytesSource

_LIMITS: Final = ArchiveLimits(bytes_max=1 << 20, ratio_from_bytes=1 << 16, line_bytes_max=100)
_GZ: Final = Hostile(
    [Part(name=b"a.gz", method=0, data=bytes.fromhex("1f8b0800000000000203030000000000000000"))]
)
_SEEDS: Final = [
    good_archive(),
    streamed_archive(),
    good_archive(method=0),
    Hostile([Part(method=93), Part(name=b"b/c.log", data=b"x" * 300)]).build(),
    Hostile(comment=b"of a device").build(),
    _GZ.build(),
    nested_quotes()[:2000],
]


def _archive(data: bytes) -> None:
    """What is read twice is the same twice, within its bounds, and has the length that was promised."""
    try:
        archive = Archive(BytesSource(data), _LIMITS)
        contents = archive.prove()
        once = [list(member.lines()) for member in archive.members]
        again = [list(member.lines()) for member in archive.members]
    except ArchiveError:
        return
    if once != again or contents.bytes > _LIMITS.bytes_max:
        raise FoundError("an archive was read in two ways, or is larger than it may be")
    if any(len(line) > _LIMITS.line_bytes_max for lines in once for line in lines):
        raise FoundError("a line is longer than it may be")
    if sum(len(piece) for member in archive.members for piece in member.chunks()) != contents.bytes:
        raise FoundError("an archive holds other bytes than were promised")


def _lines(data: bytes) -> None:
    """Lines do not depend on where the input is cut; the first byte says where."""
    step = data[0] % 16 + 1 if data else 1
    text = data[1:]
    cut = line_blocks((text[at : at + step] for at in range(0, len(text), step)), 8)
    if [line for block in cut for line in block] != [
        line for block in line_blocks([text], 8) for line in block
    ]:
        raise FoundError("cutting the input has changed its lines")


TARGETS: Final = (
    Target(name="archive", run=_archive, seeds=_SEEDS),
    Target(name="log_lines", run=_lines, seeds=[b"\3a\r\nbc\n\n", b"\1" + b"x" * 40 + b"\r\n"]),
)
