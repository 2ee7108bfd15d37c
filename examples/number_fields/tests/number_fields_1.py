"""Version 1 as it was released: levels alone, without a word about spread in findings and bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Final

import numpy as np

from number_fields.detector import NumberFields as Version2
from number_fields.knowledge import Field, Knowledge
from tocsin.dump_detectors.abstract import Dump, Finding

MARK: Final = "number-fields 1"
_SPREAD: Final = 1


class NumberFields(Version2):
    version = "1"

    def process(self, dump: Dump) -> Iterator[Finding]:
        yield from super().process(dump)
        self._known.values[_SPREAD] = np.nan
        self._known.lines[_SPREAD] = np.nan

    def save(self) -> bytes:
        known = self._known
        saved = {
            "mark": MARK,
            "dumps": known.dumps,
            "fields": [[f.component, f.shape, f.place, f.name, f.last_dump] for f in known.fields],
            "days": known.days.tolist(),
            "levels": _with_nulls(known.values[0]),
            "lines": _with_nulls(known.lines[0]),
        }
        return json.dumps(saved, sort_keys=True, allow_nan=False).encode()

    def load(self, state: bytes, version: str) -> None:
        saved = json.loads(state)
        if not isinstance(saved, dict) or saved.get("mark") != MARK:
            raise ValueError("these bytes were not saved by version 1 of number-fields")
        self._known = Knowledge(saved["dumps"], [Field(*row) for row in saved["fields"]])
        levels, lines = np.array(saved["levels"], float), np.array(saved["lines"], float)
        self._known.days = np.array(saved["days"], float)
        self._known.values = np.stack([levels, np.full_like(levels, np.nan)])
        self._known.lines = np.stack([lines, np.full_like(lines, np.nan)])


def _with_nulls(array: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> list[list[float | None]]:
    """JSON knows no NaN."""
    return [[None if np.isnan(value) else float(value) for value in row] for row in array]
