"""Maintenance windows as the processor's state holds them: few rows, in the order of devices and time."""

from __future__ import annotations

from typing import Any, Final

import numba as nb
import numpy as np
import numpy.typing as npt

from tocsin.control import MaintenanceSet
from tocsin.detectors.abstract import Readings, Rows
from tocsin.events import I32, I64, U8
from tocsin.model import MaintenanceActed
from tocsin.processing.rows import MAINTENANCE, NO_ALERT, NO_LEARN

KEPT_MAX: Final = 256
"""Spans of a device, those that end last; of what is over before, corrections know nothing."""

FORGOTTEN: Final = "mw_forgotten"
"""In the place of a window that is not among those that are kept."""

NO_EFFECTS: Final[U8] = np.zeros(0, np.uint8)
"""For readings of devices that have no window."""


class Maintenance:
    """Rows of rows.MAINTENANCE, ascending by device and `acts_ms`."""

    def __init__(self) -> None:
        self._rows: Rows = np.zeros(0, MAINTENANCE)
        self._marked: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._pausing: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)
        self._fresh: list[Rows] = []

    @property
    def rows(self) -> Rows:
        """All of them."""
        if self._fresh:
            rows = np.concatenate([self._rows, *self._fresh])
            self._fresh.clear()
            self._take(rows)
        return self._rows

    @property
    def pausing(self) -> npt.NDArray[np.bool_]:
        """By device: whether one of its windows has nothing learnt; empty where none has."""
        return self._pausing if len(self.rows) else self._pausing[:0]

    def of(self, device: int) -> Rows:
        """A copy of the rows of one device."""
        first, last = np.searchsorted(self.rows["device"], [device, device + 1])
        return self.rows[first:last].copy()

    def cut(self, devices: I32) -> dict[int, bytes]:
        """The rows of those of these devices that have any."""
        if not len(self.rows):
            return {}
        known = devices[devices < len(self._marked)]
        return {device: self.of(device).tobytes() for device in known[self._marked[known]].tolist()}

    def restore(self, device: int, saved: bytes) -> None:
        """Take over the rows of a device that has none yet."""
        own = np.frombuffer(saved, MAINTENANCE).copy()
        own["device"] = device
        self._fresh.append(own)

    def set(self, record: MaintenanceSet, devices: I64, newest_ms: I64) -> None:
        """Let the record's window hold for these devices, whose newest stamps are given."""
        found = [self.rows[~np.isin(self.rows["device"], devices)]]
        for device, newest in zip(devices.tolist(), newest_ms.tolist(), strict=True):
            own = _last(with_window(self.of(device), record, max(record.effective_ms, newest + 1)))
            own["device"] = device
            found.append(own)
        self._take(np.concatenate(found))

    def effects(self, readings: Readings, series: Rows) -> U8:
        """What windows do to each of the readings, in bits; NO_EFFECTS where no device of theirs has one."""
        if not len(self.rows) or not _concerns(readings.series, series, self._marked):
            return NO_EFFECTS
        found = np.zeros(len(readings), np.uint8)
        _effects(readings.series, readings.ts, series, self._marked, self.rows, found)
        return found

    def alerts_again_ms(self, device: int, ts: int) -> int:
        """The first stamp from `ts` on at which episodes may open."""
        return int(alerts_again_ms(self.rows, device, ts))

    def silencing(self, device: int, ts: int) -> str:
        """The window because of which nobody is alerted at a stamp; FORGOTTEN where it is not kept."""
        for row in self.of(device):
            if row["effects"] & NO_ALERT and row["acts_ms"] <= ts < row["until_ms"]:
                return str(row["window"].decode())
        return FORGOTTEN

    def between(self, device: int, from_ms: int, to_ms: int) -> tuple[MaintenanceActed, ...]:
        """The windows that touch a span, both ends within."""
        own = self.of(device)
        return acted(own[(own["acts_ms"] <= to_ms) & (own["until_ms"] > from_ms)])

    def _take(self, rows: Rows) -> None:
        self._rows = rows[np.lexsort((rows["acts_ms"], rows["device"]))]
        self._marked = _marks(self._rows["device"])
        self._pausing = _marks(self._rows["device"][self._rows["effects"] & NO_LEARN != 0])


def _marks(devices: I32) -> npt.NDArray[np.bool_]:
    """True at the numbers of these devices, given in ascending order; no longer than that."""
    found = np.zeros(int(devices[-1]) + 1 if len(devices) else 0, np.bool_)
    found[devices] = True
    return found


def with_window(own: Rows, record: MaintenanceSet, from_ms: int) -> Rows:
    """The rows of a device with a window that is as the record says from a stamp on.

    A span that goes on over that stamp stays one row, however often it is said again.
    """
    same = own["window"] == record.window.encode()
    kept = own[~same | (own["acts_ms"] < from_ms)]
    cut = kept["window"] == record.window.encode()
    kept["until_ms"][cut] = np.minimum(kept["until_ms"][cut], from_ms)
    spans = [(max(first, from_ms), below) for first, below in record.spans if below > from_ms]
    rows = np.zeros(len(spans), MAINTENANCE)
    for row, (first, below) in zip(rows, spans, strict=True):
        row["acts_ms"], row["until_ms"], row["window"] = first, below, record.window.encode()
        row["effects"] = NO_ALERT * record.no_alert | NO_LEARN * record.no_learn
    for row in rows[:1]:
        before = np.flatnonzero(
            cut & (kept["until_ms"] == row["acts_ms"]) & (kept["effects"] == row["effects"])
        )
        if len(before):
            row["acts_ms"] = kept["acts_ms"][before].min()
            kept = np.delete(kept, before)
    found = np.concatenate([kept, rows])
    return found[np.argsort(found["acts_ms"], kind="stable")]


def _last(own: Rows) -> Rows:
    """As many as are kept: those that end last, in their order."""
    return own[np.sort(np.argsort(own["until_ms"], kind="stable")[-KEPT_MAX:])]


def acted(rows: Rows) -> tuple[MaintenanceActed, ...]:
    """Rows of one device as people and evidence read them."""
    return tuple(
        MaintenanceActed(
            window=row["window"].decode(),
            from_ms=int(row["acts_ms"]),
            until_ms=int(row["until_ms"]),
            no_alert=bool(row["effects"] & NO_ALERT),
            no_learn=bool(row["effects"] & NO_LEARN),
        )
        for row in rows
    )


def packed(said: tuple[MaintenanceActed, ...]) -> bytes:
    """The rows that `acted` tells of, as they are restored."""
    rows = np.zeros(len(said), MAINTENANCE)
    for row, each in zip(rows, said, strict=True):
        row["acts_ms"], row["until_ms"], row["window"] = each.from_ms, each.until_ms, each.window.encode()
        row["effects"] = NO_ALERT * each.no_alert | NO_LEARN * each.no_learn
    return rows.tobytes()


@nb.njit(cache=True, nogil=True)
def alerts_again_ms(rows: npt.NDArray[Any], device: int, ts: int) -> Any:
    """The first stamp from `ts` on at which episodes of a device may open."""
    found = np.int64(ts)
    k = np.searchsorted(rows["device"], device)
    while k < len(rows) and rows[k].device == device and rows[k].acts_ms <= found:
        if rows[k].effects & NO_ALERT and found < rows[k].until_ms:
            found = rows[k].until_ms
        k += 1
    return found


@nb.njit(cache=True, nogil=True, inline="always")
def learns_gap(
    rows: npt.NDArray[Any], pausing: npt.NDArray[np.bool_], device: int, from_ms: int, to_ms: int
) -> Any:
    """Whether the distance of two stamps of a device is learnt: neither lies where nothing is."""
    if device >= len(pausing) or not pausing[device]:
        return True
    return _learns(rows, device, from_ms) and _learns(rows, device, to_ms)


@nb.njit(cache=True, nogil=True)
def _learns(rows: npt.NDArray[Any], device: int, ts: int) -> Any:
    k = np.searchsorted(rows["device"], device)
    while k < len(rows) and rows[k].device == device and rows[k].acts_ms <= ts:
        if rows[k].effects & NO_LEARN and ts < rows[k].until_ms:
            return False
        k += 1
    return True


@nb.njit(cache=True, nogil=True)
def _concerns(series: I32, series_rows: npt.NDArray[Any], marked: npt.NDArray[np.bool_]) -> bool:
    for s in series:
        device = series_rows[s].device
        if device < len(marked) and marked[device]:
            return True
    return False


@nb.njit(cache=True, nogil=True)
def _effects(
    series: I32,
    ts: I64,
    series_rows: npt.NDArray[Any],
    marked: npt.NDArray[np.bool_],
    rows: npt.NDArray[Any],
    found: U8,
) -> None:
    for i in range(len(ts)):
        device = series_rows[series[i]].device
        if device >= len(marked) or not marked[device]:
            continue
        k = np.searchsorted(rows["device"], device)
        while k < len(rows) and rows[k].device == device and rows[k].acts_ms <= ts[i]:
            if ts[i] < rows[k].until_ms:
                found[i] |= rows[k].effects
            k += 1
