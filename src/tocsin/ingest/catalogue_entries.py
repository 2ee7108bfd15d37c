"""What a catalogue holds of one tenant, or what was added to it: the unit that is stored and exported."""

from __future__ import annotations

import msgspec
import numpy as np

from tocsin.ingest.series_table import U64


class Entries(msgspec.Struct, frozen=True, kw_only=True):
    """Names in the order of their numbers, going on from those before; `words` are little-endian u64."""

    tenant: str
    devices: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()  # as JSON spells them
    words: bytes = b""

    def table(self) -> U64:
        """The words as numbers."""
        return np.frombuffer(self.words, "<u8").astype(np.uint64)


def encode_entries(entries: Entries) -> bytes:
    """The entries as MessagePack."""
    return msgspec.msgpack.encode(entries)


def decode_entries(payload: bytes) -> Entries:
    """What `encode_entries` was given; msgspec.ValidationError if it is nothing of the kind."""
    return msgspec.msgpack.decode(payload, type=Entries)
