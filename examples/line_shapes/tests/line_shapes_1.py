"""Version 1 as it was released: no word about lines that come too seldom, and numbers saved as text."""

from __future__ import annotations

import json
from collections.abc import Iterator

from line_shapes_2 import LineShapes as Version2

from line_shapes.version_1 import MARK, from_version_1
from tocsin.dump_detectors.abstract import Dump, Finding, UnknownVersionError


class LineShapes(Version2):
    version = "1"

    def process(self, dump: Dump) -> Iterator[Finding]:
        for finding in super().process(dump):
            if finding.evidence.get("deviations", 1) > 0:  # type: ignore[operator]
                yield finding

    def save(self) -> bytes:
        known = self._known
        saved = {
            "mark": MARK,
            "dumps": known.dumps,
            "learnt": known.learnt,
            "columns": [[each.number, each.component, each.shape, each.last_dump] for each in known.columns],
            "distances": {
                name: [each.dumps, each.mean, each.variance, each.last_dump]
                for name, each in known.distances.items()
            },
            "mean": known.mean.tolist(),
            "variance": known.variance.tolist(),
            "parts": known.parts.tolist(),
            "strengths": known.strengths.tolist(),
            "excess": known.excess.tolist(),
            "lacking": known.lacking.tolist(),
            "waiting": known.waiting.tolist(),
        }
        return json.dumps(saved, sort_keys=True, allow_nan=False).encode()

    def load(self, state: bytes, version: str) -> None:
        self._known = from_version_1(state)

    def migrate(self, state: bytes, version: str) -> bytes:
        raise UnknownVersionError("there is no version before 1")
