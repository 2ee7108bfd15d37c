"""The detector: counts shapes, judges counts and shapes never seen, then learns."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from line_shapes.knowledge import (
    COLUMNS,
    VERSION_2,
    VERSION_3,
    Column,
    Distance,
    Floats,
    Knowledge,
    from_bytes,
    to_bytes,
)
from line_shapes.shapes import Counted, Seen, count_shapes
from line_shapes.subspace import expected, learn, spread
from line_shapes.version_1 import from_version_1
from tocsin.dump_detectors.abstract import Device, Dump, DumpDetector, EvidenceLine, Finding
from tocsin.model import Severity

Evidence = dict[str, str | int | float | bool]

_DEFAULTS: Final[Mapping[str, float]] = {"ready_dumps": 48, "limit": 6.0, "new_lines": 3}
_REMEMBERED_DUMPS: Final = 100
_UNUSED_DUMPS: Final = 100
_COMPONENTS_MAX: Final = 64
_DEVIATION_MIN: Final = 0.7  # of the root of a sum of squares of normal numbers, however many
_SHOWN_SHAPES: Final = 3
_LACKING_SLACK: Final = 1.0
_LACKING_MAX: Final = 2.0
_USUAL: Final = 1.0
_RATES_SLACK: Final = 1.5
_RATES_MAX: Final = 4.0 / 3.0


@dataclass(frozen=True, slots=True)
class _Judged:
    """A dump as a vector, what was expected, and the difference in deviations."""

    counted: Counted
    vector: Floats
    expected: Floats
    off: Floats


class LineShapes(DumpDetector):
    """One device. Judges once `ready_dumps` dumps have been learnt.

    Version 2 also finds lines that come too seldom, and saves bytes instead of text. Version 3 finds a new
    line in each dump it comes in, not in the first alone. Version 4 sums up distances over dumps: one that
    is a little strange is a finding only with others. Each goes on from what the ones before saved.
    """

    name = "line-shapes"
    version = "4"

    def setup(self, config: Mapping[str, object]) -> None:
        self._settings = dict(_DEFAULTS)
        for key, value in config.items():
            if key not in _DEFAULTS:
                raise ValueError(f"no such key: {key}; there are: {', '.join(_DEFAULTS)}")
            if not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ValueError(f"{key} must be a number above 0, not {value!r}")
            self._settings[key] = float(value)

    def start(self, device: Device) -> None:
        self._known = Knowledge()

    def process(self, dump: Dump) -> Iterator[Finding]:
        known = self._known
        counted = count_shapes(dump)
        ready = known.dumps >= self._settings["ready_dumps"]
        places = {column.number: place for place, column in enumerate(known.columns)}
        if ready:
            yield from self._new_lines(counted, places)
        self._take_in(counted, places, ready)
        judged = self._judged(counted, places)
        yield from self._rates(judged, ready)
        yield from self._lacking(judged, ready)
        self._learn(judged, ready)

    def save(self) -> bytes:
        return to_bytes(self._known)

    def load(self, state: bytes, version: str) -> None:
        self._known = from_bytes(state)

    def migrate(self, state: bytes, version: str) -> bytes:
        match version:
            case "1":
                return to_bytes(from_version_1(state))
            case "2":
                return to_bytes(from_bytes(state, VERSION_2))
            case "3":
                return to_bytes(from_bytes(state, VERSION_3))
            case _:
                return super().migrate(state, version)

    def _new_lines(self, counted: Counted, places: Mapping[int, int]) -> Iterator[Finding]:
        """One finding for each component that writes, more than once, a line of a shape that is new to it.

        A shape is new in the dump it comes in first and, while it is young, in those after it: what goes on
        must not look as if it were over. The oldest one names the finding, so that they are one episode.
        """
        least, known = self._settings["new_lines"], self._known
        found: dict[str, list[tuple[int, Seen]]] = {}
        for number, seen in counted.seen.items():
            began = known.young.get(number) if number in places else known.dumps
            if began is not None and seen.count >= least:
                found.setdefault(seen.component, []).append((began, seen))
        for component, shapes in sorted(found.items()):
            shapes.sort(key=lambda each: (each[0], -each[1].count, each[1].shape))
            began, first = shapes[0]
            others = f", and {len(shapes) - 1} other new ones" if len(shapes) > 1 else ""
            age = known.dumps - began
            ago = f", until {age} dump{'s' if age > 1 else ''} ago" if age else ""
            reason = (
                f"{_quoted(first.shape)} came {first.count} times in {counted.hours:.1f} h, and never in "
                f"{began} dumps before{ago}{others}"
            )
            evidence: Evidence = {
                "count": first.count,
                "new_shapes": len(shapes),
                "dumps_since_first": age,
            }
            score = max(each.count for _, each in shapes) / least
            seen_new = [each for _, each in shapes]
            yield self._finding(
                counted, component, "new_line", score, reason, evidence, seen_new, first.shape
            )

    def _take_in(self, counted: Counted, places: dict[int, int], ready: bool) -> None:
        """Give each shape a column; when all are taken, in place of one not seen for a hundred dumps."""
        known = self._known
        for number, seen in counted.seen.items():
            if number in places:
                known.columns[places[number]].last_dump = known.dumps
                continue
            column = Column(number, seen.component, seen.shape, known.dumps)
            if len(known.columns) < COLUMNS:
                places[number] = len(known.columns)
                known.columns.append(column)
            elif (oldest := _unused(known)) is not None:
                del places[known.columns[oldest].number]
                places[number] = oldest
                _forget(known, oldest)
                known.columns[oldest] = column
            if ready and number in places:
                known.young[number] = known.dumps

    def _judged(self, counted: Counted, places: Mapping[int, int]) -> _Judged:
        known = self._known
        vector = np.zeros(COLUMNS)
        for number, seen in counted.seen.items():
            if number in places:
                vector[places[number]] = 2.0 * math.sqrt(seen.count / counted.hours)
        usual = expected(known, vector, counted.hours)
        return _Judged(counted, vector, usual, (vector - usual) / spread(known, counted.hours))

    def _rates(self, judged: _Judged, ready: bool) -> Iterator[Finding]:
        """One finding for each component whose counts lie farther from what is expected than they usually do.

        The distance is the root of the sum of squares over the component's shapes: the Q statistic of
        PCA. Its root is judged against its own mean and deviation.
        """
        known, farthest = self._known, self._settings["limit"] / 2
        for component, places in _places_by_component(known.columns).items():
            distance = known.distances.get(component)
            if distance is None:
                if len(known.distances) >= _COMPONENTS_MAX:
                    continue
                distance = known.distances[component] = Distance()
            now = math.sqrt(float(np.sum(judged.off[places] ** 2)))
            deviation = max(math.sqrt(distance.variance), _DEVIATION_MIN)
            if ready and distance.dumps >= self._settings["ready_dumps"] / 2:
                score = self._gather(distance, (now - distance.mean) / deviation)
                if score > 1.0:
                    yield self._rate_finding(judged, component, places, score)
                now = min(now, distance.mean + farthest * deviation)  # what is strange is learnt slowly
            if known.learnt:
                _learn_distance(distance, now, known.dumps)

    def _gather(self, distance: Distance, off: float) -> float:
        """How strange the component is by now, when it lies `off` deviations from its usual distance.

        A sum of what is beyond a slack (Page 1954), which a dump that is as usual ends: lines of one cycle go
        wrong together by chance, so one dump alone has to be half as strange again as several.
        """
        enough, above = _RATES_MAX * self._settings["limit"], off - _RATES_SLACK
        gathered = max(distance.gathered + above, 0.0) if off > _USUAL else 0.0
        distance.gathered = min(gathered, 2.0 * enough)
        return gathered / enough if above > 0.0 else 0.0

    def _rate_finding(self, judged: _Judged, component: str, places: Sequence[int], score: float) -> Finding:
        order = sorted(places, key=lambda place: (-abs(judged.off[place]), place))
        hours = judged.counted.hours
        worst = order[0]
        column = self._known.columns[worst]
        count = round(judged.vector[worst] ** 2 / 4 * hours)
        usual = judged.expected[worst] ** 2 / 4 * hours
        strange = sum(abs(judged.off[place]) > 3.0 for place in places)
        others = f", and {strange - 1} other shapes of lines are off" if strange > 1 else ""
        reason = (
            f"{_quoted(column.shape)} came {count} times in {hours:.1f} h, where {usual:.1f} are expected "
            f"({judged.off[worst]:+.1f} deviations){others}"
        )
        seen = [judged.counted.seen.get(self._known.columns[place].number) for place in order[:_SHOWN_SHAPES]]
        deviations = round(float(judged.off[worst]), 3)
        evidence: Evidence = {"count": count, "expected": round(float(usual), 3), "deviations": deviations}
        shown = [each for each in seen if each is not None]
        return self._finding(judged.counted, component, "line_rates", score, reason, evidence, shown, "")

    def _lacking(self, judged: _Judged, ready: bool) -> Iterator[Finding]:
        """One finding for each component with a shape that has come too seldom for several dumps together.

        A sum of deviations below what is expected, less a slack, that never falls below 0 (Page 1954):
        finds a line that comes no more although it is too rare for one dump to show it. It starts anew
        once the line comes as often as expected.
        """
        known = self._known
        if not ready:
            return
        below = np.minimum(-judged.off, 4.0) - _LACKING_SLACK
        # a line that comes as often as expected is not lacking, whatever the dumps before showed
        known.lacking = np.where(judged.off < 0.0, np.maximum(known.lacking + below, 0.0), 0.0)
        limit = _LACKING_MAX * self._settings["limit"]
        for component, places in _places_by_component(known.columns).items():
            worst = max(places, key=lambda place: (known.lacking[place], -place))
            score = float(known.lacking[worst]) / limit
            if score > 1.0 and judged.off[worst] < -_LACKING_SLACK:
                yield self._lacking_finding(judged, component, worst, score)
        known.lacking = np.minimum(known.lacking, 2.0 * limit)

    def _lacking_finding(self, judged: _Judged, component: str, place: int, score: float) -> Finding:
        hours = judged.counted.hours
        shape = self._known.columns[place].shape
        count = round(judged.vector[place] ** 2 / 4 * hours)
        usual = judged.expected[place] ** 2 / 4 * hours
        reason = (
            f"{_quoted(shape)} came {count} times in {hours:.1f} h, where {usual:.1f} are expected, and too "
            f"seldom in the dumps before ({self._known.lacking[place]:.1f} deviations together)"
        )
        evidence: Evidence = {
            "count": count,
            "expected": round(float(usual), 3),
            "deviations": -round(float(self._known.lacking[place]), 3),
        }
        seen = judged.counted.seen.get(self._known.columns[place].number)
        shown = [] if seen is None else [seen]
        return self._finding(judged.counted, component, "lacking_line", score, reason, evidence, shown, shape)

    def _finding(
        self,
        counted: Counted,
        component: str,
        code: str,
        score: float,
        reason: str,
        evidence: Evidence,
        shapes: Sequence[Seen],
        key: str,
    ) -> Finding:
        lines: list[EvidenceLine] = []
        for seen in shapes[:_SHOWN_SHAPES]:
            lines.extend(seen.lines)
        return Finding(
            component=component,
            code=code,
            severity=Severity.CRITICAL if score > 3.0 else Severity.WARNING,
            score=round(score, 4),
            from_ms=counted.from_ms,
            to_ms=counted.to_ms,
            reason=reason,
            key=key,
            evidence=evidence,
            lines=tuple(lines),
        )

    def _learn(self, judged: _Judged, ready: bool) -> None:
        """Take in the dump; what is strange in it no farther than the limit from what was expected."""
        known, hours = self._known, judged.counted.hours
        known.dumps += 1
        grown = known.dumps - self._settings["ready_dumps"]
        known.young = {number: began for number, began in known.young.items() if began > grown}
        vector = judged.vector
        if known.learnt:
            step = 1.0 / min(known.dumps, _REMEMBERED_DUMPS)
            far = 4.0 * spread(known, hours) if ready else np.full(COLUMNS, np.inf)
            off = np.clip(vector - judged.expected, -far, far)
            used = slice(0, len(known.columns))
            known.excess[used] += step * (off[used] ** 2 - 1.0 / hours - known.excess[used])
            vector = judged.expected + off
        learn(known, vector)


def _places_by_component(columns: Sequence[Column]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for place, column in enumerate(columns):
        found.setdefault(column.component, []).append(place)
    return dict(sorted(found.items()))


def _learn_distance(distance: Distance, now: float, dump: int) -> None:
    distance.dumps = min(distance.dumps + 1, _REMEMBERED_DUMPS)
    distance.last_dump = dump
    step = 1.0 / distance.dumps
    off = now - distance.mean
    distance.mean += step * off
    distance.variance = (1.0 - step) * (distance.variance + step * off * off)


def _unused(known: Knowledge) -> int | None:
    """The place of the shape that came last longest ago, if that is long enough."""
    oldest = min(range(COLUMNS), key=lambda place: (known.columns[place].last_dump, place))
    return oldest if known.columns[oldest].last_dump < known.dumps - _UNUSED_DUMPS else None


def _forget(known: Knowledge, place: int) -> None:
    """The column stands for another shape from now on."""
    known.young.pop(known.columns[place].number, None)
    for array in (known.mean, known.variance, known.excess, known.lacking):
        array[place] = 0.0
    known.parts[:, place] = 0.0
    known.waiting[:, place] = 0.0


def _quoted(shape: str) -> str:
    """For a sentence: short, and as a text of JSON, so that nothing in it acts."""
    return json.dumps(shape if len(shape) <= 80 else shape[:79] + "…", ensure_ascii=False)
