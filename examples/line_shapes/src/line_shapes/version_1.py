"""What version 1 saved: the same knowledge as JSON, three times as long."""

from __future__ import annotations

import json
from typing import Final

import numpy as np

from line_shapes.knowledge import COLUMNS, Column, Distance, Knowledge

MARK: Final = "line-shapes 1"


def from_version_1(state: bytes) -> Knowledge:
    """The knowledge in the bytes of version 1; a ValueError for bytes that it can't have saved."""
    saved = json.loads(state)
    if not isinstance(saved, dict) or saved.get("mark") != MARK:
        raise ValueError("these bytes were not saved by version 1 of line-shapes")
    arrays = {
        name: np.array(saved[name], dtype=np.float64)
        for name in ("mean", "variance", "parts", "strengths", "excess", "lacking")
    }
    return Knowledge(
        dumps=saved["dumps"],
        learnt=saved["learnt"],
        columns=[Column(*row) for row in saved["columns"]],
        distances={name: Distance(*row) for name, row in saved["distances"].items()},
        waiting=np.array(saved["waiting"], dtype=np.float64).reshape(-1, COLUMNS),
        **arrays,
    )
