"""Which dictionary of templates is in force for an application: a pure function of control records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from tocsin.control import DictionaryTaken

KEPT_MAX: Final = 256
"""Of an application; a replay behind checkpoints asks for those of not long ago."""


class Taken(msgspec.Struct, frozen=True, array_like=True):
    """A dictionary, and the offset of the record that brought it."""

    application: str
    sha256: str
    offset: int


class Dictionaries:
    """Those of a partition's tenants, as a checkpoint's header holds them: none belongs to a shard."""

    def __init__(self, taken: Mapping[str, list[Taken]] | None = None) -> None:
        self.taken: dict[str, list[Taken]] = dict(taken or {})

    def take(self, record: DictionaryTaken, offset: int) -> None:
        """Let it act from its place in the log; nothing if it does, as in a replay."""
        known = self.taken.setdefault(record.tenant, [])
        if any(each.offset == offset for each in known):
            return
        known.append(Taken(record.application, record.sha256, offset))
        own = [each for each in known if each.application == record.application]
        if len(own) > KEPT_MAX:
            known.remove(own[0])

    def in_force(self, tenant: str, application: str, offset: int | None = None) -> str:
        """What judges the application's dumps: the newest, or the newest below an offset; empty for none."""
        found = ""
        for each in self.taken.get(tenant, ()):
            if each.application == application and (offset is None or each.offset < offset):
                found = each.sha256
        return found
