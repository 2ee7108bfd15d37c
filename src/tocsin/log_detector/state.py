"""What is known of a device as bytes, and back."""

from __future__ import annotations

from typing import Any, Final

import msgspec
import numpy as np

from tocsin.log_detector.knowledge import (
    CELLS,
    MARKS,
    ROWS_MAX,
    Follower,
    Knowledge,
    Known,
    Number,
    Rarity,
    Row,
)

MAGIC: Final = b"tocsin-logs 1\n"


class _Head(msgspec.Struct, kw_only=True, array_like=True, forbid_unknown_fields=True):
    """All but the arrays."""

    hours: float
    slots: int
    dumps: int
    end_ms: int
    offsets: dict[str, int]
    next_uid: int
    rows: list[Row]
    shapes: list[Known]
    rarities: list[Rarity]
    order: list[tuple[int, Follower]]
    numbers: list[Number]


class _Saved(msgspec.Struct, kw_only=True, array_like=True, forbid_unknown_fields=True):
    head: _Head
    cells: bytes
    cell_hours: bytes
    marks: bytes


_DECODER: Final = msgspec.msgpack.Decoder(_Saved)


def to_bytes(known: Knowledge) -> bytes:
    """Equal knowledge gives equal bytes: everything that has no order of its own is sorted."""
    head = _Head(
        hours=known.hours,
        slots=known.slots,
        dumps=known.dumps,
        end_ms=known.end_ms,
        offsets=dict(sorted(known.offsets.items())),
        next_uid=known.next_uid,
        rows=known.rows,
        shapes=[known.shapes[key] for key in sorted(known.shapes)],
        rarities=known.rarities,
        order=[(uid, _sorted(known.order[uid])) for uid in sorted(known.order)],
        numbers=[known.numbers[key] for key in sorted(known.numbers)],
    )
    saved = _Saved(
        head=head,
        cells=known.cells.astype("<f2").tobytes(),
        cell_hours=known.cell_hours.astype("<f2").tobytes(),
        marks=known.marks.astype("<f8").tobytes(),
    )
    return MAGIC + msgspec.msgpack.encode(saved)


def _sorted(follower: Follower) -> Follower:
    return Follower(total=follower.total, after=dict(sorted(follower.after.items())))


def from_bytes(state: bytes) -> Knowledge:
    """What `to_bytes` wrote; ValueError for anything else."""
    if not state.startswith(MAGIC):
        raise ValueError("these bytes are no state of logs, version 1")
    try:
        saved = _DECODER.decode(state[len(MAGIC) :])
    except msgspec.MsgspecError as error:
        raise ValueError(f"the state of logs is damaged: {error}") from error
    head, rows = saved.head, len(saved.head.rows)
    sizes = (len(saved.cells), len(saved.cell_hours), len(saved.marks))
    if rows > ROWS_MAX or sizes != (2 * rows * CELLS, 2 * rows * CELLS, 8 * rows * MARKS):
        raise ValueError("the state of logs contradicts itself")
    known = Knowledge(
        hours=head.hours,
        slots=head.slots,
        dumps=head.dumps,
        end_ms=head.end_ms,
        offsets=head.offsets,
        next_uid=head.next_uid,
        rows=head.rows,
        shapes={(each.component, each.text): each for each in head.shapes},
        rarities=head.rarities,
        order=dict(head.order),
        numbers={(each.uid, each.place): each for each in head.numbers},
        cells=_array(saved.cells, "<f2", CELLS).astype(np.float16),
        cell_hours=_array(saved.cell_hours, "<f2", CELLS).astype(np.float16),
        marks=_array(saved.marks, "<f8", MARKS).astype(np.float64),
    )
    uids = {row.uid for row in known.rows}
    if len(uids) != rows or any(each.uid not in uids for each in head.shapes):
        raise ValueError("the state of logs contradicts itself")
    return known


def _array(raw: bytes, dtype: str, columns: int) -> np.ndarray[Any, Any]:
    return np.frombuffer(raw, dtype).reshape(-1, columns)
