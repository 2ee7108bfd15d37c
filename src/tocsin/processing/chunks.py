"""What a chunk of a snapshot holds: the state of one shard, or the header of a partition.

A shard's chunk names its devices, parameters and streams itself, so that it can be restored beside any
other chunk. The header chunk of a partition holds what belongs to no shard: versions of the settings, and
which dictionaries were taken over. A chunk of another version of the rows is refused; its shard is rebuilt by
replay.
"""

from __future__ import annotations

import msgspec

from tocsin.control import Settings
from tocsin.processing.dictionaries import Taken
from tocsin.processing.dump_orders import Orders
from tocsin.sharding import partition_of

Spans = list[tuple[int, int | None]]
KnownRow = tuple[str, str, str, int, str, int, int | None, int, bytes]
"""The fields of state.Known, the digest as bytes."""


class Version(msgspec.Struct, array_like=True):
    settings: Settings
    effective_ms: int
    offset: int


class Header(msgspec.Struct, array_like=True):
    """`dictionaries` are by tenant; earlier releases wrote none."""

    state_version: int
    versions: dict[str, list[Version]]
    dictionaries: dict[str, list[Taken]] = {}


class SlotRows(msgspec.Struct, array_like=True):
    """`feedback` are its rows, with places of series; releases before there was any wrote none."""

    state_version: int
    hot: bytes
    cells: bytes
    policy: bytes
    watched: list[tuple[int, bytes]]
    captures: list[tuple[int, int, int, bytes]]
    feedback: bytes = b""


class Shard(msgspec.Struct, array_like=True):
    """One tenant's part of a chunk; series name their device and parameter by place in the lists here.

    Rows are as they lie in memory; cells and policies are packed.
    """

    tenant: str
    device_lengths: bytes  # of the names, int32
    device_names: bytes
    device_rows: bytes
    acts_ms: dict[int, bytes]
    streams: list[tuple[str, str]]
    parameters: list[tuple[str, str]]
    series_rows: bytes
    slots: dict[str, SlotRows]
    known: dict[int, list[KnownRow]]
    retracted: dict[int, dict[str, int]]
    quarantines: dict[int, Spans]
    maintenance: dict[int, bytes] = {}  # rows by place of device; releases before there was any wrote none


class Content(msgspec.Struct, array_like=True):
    state_version: int
    tenants: list[Shard]
    dumps: Orders


def header_shard(partition: int) -> int:
    """The number of the chunk with a partition's header: below those of shards, so it is read first."""
    return -1 - partition


def partition_of_chunk(shard: int, partitions: int) -> int:
    """The partition that a chunk belongs to, header or shard."""
    return -1 - shard if shard < 0 else partition_of(shard, partitions)
