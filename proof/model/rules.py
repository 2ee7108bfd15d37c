"""Which settings act on a device at a time: docs/explanation/ordering-and-late-data.md, "Settings"."""

from __future__ import annotations

from proof.model.records import NEVER_MS, Settings

VERSIONS_MAX = 16


class Rules:
    """Versions of settings, each with the stamp from which it acts on one device."""

    def __init__(self, versions: list[tuple[int, Settings]] | None = None) -> None:
        self.versions = versions or [(NEVER_MS, Settings())]

    def change(self, from_ms: int, settings: Settings) -> None:
        """Add a version; of seventeen the oldest goes."""
        self.versions = [*self.versions, (from_ms, settings)][-VERSIONS_MAX:]

    def at(self, ts: int) -> Settings:
        """The newest version that acts at a stamp; where none does, the oldest."""
        for from_ms, settings in reversed(self.versions):
            if from_ms <= ts:
                return settings
        return self.versions[0][1]

    def copy(self) -> Rules:
        """The same versions, to go their own way."""
        return Rules(list(self.versions))
