"""Events as columns: what the parser makes, and what the processor and the lake work on."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

import numba as nb
import numpy as np
import numpy.typing as npt

import tocsin.kernels  # noqa: F401 - before the first kernel runs

I32 = npt.NDArray[np.int32]
I64 = npt.NDArray[np.int64]
F64 = npt.NDArray[np.float64]
U8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Strings:
    """A column of UTF-8 strings in Arrow's layout: `data[offsets[i]:offsets[i+1]]` is row i.

    >>> Strings.of(["a", "", "bc"]).tolist()
    ['a', '', 'bc']
    """

    offsets: I32
    data: U8

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @classmethod
    def of(cls, values: list[str]) -> Strings:
        """A column of `values`; O(n) Python, so not for the hot path."""
        encoded = [value.encode() for value in values]
        offsets = np.array([0, *accumulate(map(len, encoded))], np.int32)
        return cls(offsets, np.frombuffer(b"".join(encoded), np.uint8))

    def __getitem__(self, row: int) -> str:
        return self.data[self.offsets[row] : self.offsets[row + 1]].tobytes().decode()

    def tolist(self) -> list[str]:
        return [self[row] for row in range(len(self))]

    def take(self, rows: I64) -> Strings:
        """The strings at `rows`, in that order."""
        return Strings(*_take_strings(self.offsets, self.data, rows))


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Events of one tenant, columnar; every array is read-only by convention.

    n events, m numeric readings. `ts`: milliseconds since 1970 UTC. `flags`: bits of model.Flag.
    Event i owns readings `reading_offsets[i]:reading_offsets[i+1]` of `parameter` (index into `names`)
    and `value` (finite float64, -0.0 written as 0.0). `stream` is an index into `streams`, pairs of
    (application, version). `text` holds the event's non-numeric fields as one JSON object ("" = none)
    and `text_count` how many they are; `event_id` the optional id ("" = none).
    """

    device: Strings
    ts: I64
    flags: U8
    stream: I32
    reading_offsets: I32
    parameter: I32
    value: F64
    text: Strings
    text_count: I32
    event_id: Strings
    names: tuple[str, ...]
    streams: tuple[tuple[str, str], ...]

    def __len__(self) -> int:
        return len(self.ts)

    @property
    def readings(self) -> int:
        """Number of numeric readings, m."""
        return len(self.value)

    def take(self, rows: I64) -> EventBatch:
        """The events at `rows`, in that order; names and streams stay as they are."""
        offsets, index = _take_lists(self.reading_offsets, rows)
        return EventBatch(
            device=self.device.take(rows),
            ts=self.ts[rows],
            flags=self.flags[rows],
            stream=self.stream[rows],
            reading_offsets=offsets,
            parameter=self.parameter[index],
            value=self.value[index],
            text=self.text.take(rows),
            text_count=self.text_count[rows],
            event_id=self.event_id.take(rows),
            names=self.names,
            streams=self.streams,
        )


def concat_events(batches: list[EventBatch]) -> EventBatch:
    """The events of several batches in one, in order; always fresh, writable columns."""
    names: dict[str, int] = {}
    streams: dict[tuple[str, str], int] = {}
    parameter, stream = [], []
    for batch in batches:
        name_codes = [names.setdefault(name, len(names)) for name in batch.names]
        stream_codes = [streams.setdefault(pair, len(streams)) for pair in batch.streams]
        parameter.append(np.array(name_codes, np.int32)[batch.parameter])
        stream.append(np.array(stream_codes, np.int32)[batch.stream])
    return EventBatch(
        device=_concat_strings([batch.device for batch in batches]),
        ts=np.concatenate([batch.ts for batch in batches]),
        flags=np.concatenate([batch.flags for batch in batches]),
        stream=np.concatenate(stream),
        reading_offsets=_concat_offsets([batch.reading_offsets for batch in batches]),
        parameter=np.concatenate(parameter),
        value=np.concatenate([batch.value for batch in batches]),
        text=_concat_strings([batch.text for batch in batches]),
        text_count=np.concatenate([batch.text_count for batch in batches]),
        event_id=_concat_strings([batch.event_id for batch in batches]),
        names=tuple(names),
        streams=tuple(streams),
    )


def _concat_strings(columns: list[Strings]) -> Strings:
    return Strings(
        _concat_offsets([column.offsets for column in columns]),
        np.concatenate([column.data for column in columns]),
    )


def _concat_offsets(offsets: list[I32]) -> I32:
    """Arrow offsets of lists laid end to end."""
    starts = np.cumsum([0] + [int(column[-1]) for column in offsets[:-1]])
    shifted = [column[1:] + np.int32(start) for column, start in zip(offsets, starts, strict=True)]
    return np.concatenate([np.zeros(1, np.int32), *shifted])


def empty_text(rows: int) -> Strings:
    """`rows` empty strings."""
    return Strings(np.zeros(rows + 1, np.int32), np.zeros(0, np.uint8))


@nb.njit(cache=True, nogil=True)
def _take_strings(offsets: I32, data: U8, rows: I64) -> tuple[I32, U8]:
    out_offsets = np.zeros(len(rows) + 1, np.int32)
    for i in range(len(rows)):
        out_offsets[i + 1] = out_offsets[i] + offsets[rows[i] + 1] - offsets[rows[i]]
    out = np.empty(out_offsets[-1], np.uint8)
    for i in range(len(rows)):
        start, source = out_offsets[i], offsets[rows[i]]
        for k in range(out_offsets[i + 1] - start):  # a slice would cost more than short strings do
            out[start + k] = data[source + k]
    return out_offsets, out


@nb.njit(cache=True, nogil=True)
def _take_lists(offsets: I32, rows: I64) -> tuple[I32, I64]:
    out_offsets = np.zeros(len(rows) + 1, np.int32)
    for i in range(len(rows)):
        out_offsets[i + 1] = out_offsets[i] + offsets[rows[i] + 1] - offsets[rows[i]]
    index = np.empty(out_offsets[-1], np.int64)
    k = 0
    for i in range(len(rows)):
        for j in range(offsets[rows[i]], offsets[rows[i] + 1]):
            index[k] = j
            k += 1
    return out_offsets, index


def no_events() -> EventBatch:
    """A batch of none."""
    none = Strings.of([])
    return EventBatch(
        device=none,
        ts=np.zeros(0, np.int64),
        flags=np.zeros(0, np.uint8),
        stream=np.zeros(0, np.int32),
        reading_offsets=np.zeros(1, np.int32),
        parameter=np.zeros(0, np.int32),
        value=np.zeros(0, np.float64),
        text=none,
        text_count=np.zeros(0, np.int32),
        event_id=none,
        names=(),
        streams=(("", ""),),
    )
