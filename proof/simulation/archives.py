"""The archives of simulated dumps: one log each, the same bytes for the same lines."""

from __future__ import annotations

import hashlib
import io
import zipfile
from functools import cached_property

from proof.simulation.plan import START_MS, DumpPlan

COMPONENT = "engine"
MINUTE_MS = 60_000
EPOCH_MS = 3_600_000


class Parcel:
    """A dump as its sender holds it."""

    def __init__(self, plan: DumpPlan) -> None:
        self.plan = plan

    @property
    def number(self) -> tuple[int, int]:
        """Epoch and sequence."""
        return self.plan.epoch, self.plan.sequence

    @property
    def from_ms(self) -> int:
        """When its log begins: later with each number, and a minute long."""
        return START_MS + EPOCH_MS * self.plan.epoch + MINUTE_MS * self.plan.sequence

    @property
    def to_ms(self) -> int:
        """When its log ends."""
        return self.from_ms + MINUTE_MS

    @cached_property
    def body(self) -> bytes:
        """The archive; of a damaged one the end is missing."""
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            name = zipfile.ZipInfo(f"{COMPONENT}/{COMPONENT}.log", (2026, 1, 1, 0, 0, 0))
            archive.writestr(name, "".join(f"{line}\n" for line in self.plan.lines))
        return buffer.getvalue()[: -30 if self.plan.damaged else None]

    @cached_property
    def sha256(self) -> str:
        """Of the body, hex."""
        return hashlib.sha256(self.body).hexdigest()
