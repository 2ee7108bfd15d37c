"""Windows of log lines kept as dumps: numbered behind the device's others, durable, and in the log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tocsin.blobs.abstract import BlobRef, BlobStore
from tocsin.control import DumpOutcome, LineSpan
from tocsin.services.dumps import Announced, Dumps

Place = tuple[int, int]
"""Epoch and sequence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CutDump:
    """A window as a dump: whose it is, what it says of itself, and its archive."""

    tenant: str
    device: str
    application: str
    version: str
    from_ms: int
    to_ms: int
    lines: LineSpan
    archive: bytes


class CutDumps:
    """For one thread."""

    def __init__(self, dumps: Dumps, blobs: BlobStore) -> None:
        self._dumps: Final = dumps
        self._blobs: Final = blobs
        self._tried: Final[dict[tuple[str, str], tuple[LineSpan, Place]]] = {}

    def keep(self, cut: CutDump, free: Place) -> None:
        """Durable and logged on return; the same window again changes nothing, also after an error. Blocks.

        `free` is the first free place in the device's order, as far as that has been processed. A number
        that a dump of the device's own has got first is passed over.
        """
        blob = self._stored(cut.archive)
        epoch, sequence = self._place(cut, free)
        while self._settled(cut, blob, epoch, sequence) is DumpOutcome.CONFLICT:
            sequence += 1

    def _place(self, cut: CutDump, free: Place) -> Place:
        """Behind the window before; for one that was tried, where it was: it may be logged there."""
        tried = self._tried.get((cut.tenant, cut.device))
        if tried is None:
            return free
        lines, (epoch, sequence) = tried
        return (epoch, sequence) if lines == cut.lines else max(free, (epoch, sequence + 1))

    def _settled(self, cut: CutDump, blob: BlobRef, epoch: int, sequence: int) -> DumpOutcome:
        self._tried[cut.tenant, cut.device] = cut.lines, (epoch, sequence)
        announced = Announced(
            device=cut.device,
            sequence=sequence,
            sha256=blob.sha256,
            application=cut.application,
            version=cut.version,
            collected_from_ms=cut.from_ms,
            collected_to_ms=cut.to_ms,
            epoch=epoch,
            lines=cut.lines,
        )
        return self._dumps.settle(cut.tenant, announced, blob).kept.outcome

    def _stored(self, archive: bytes) -> BlobRef:
        upload = self._blobs.begin()
        try:
            upload.write(archive)
            return upload.finish()
        finally:
            upload.discard()
