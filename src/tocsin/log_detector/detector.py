"""`logs`, Tocsin's own detector of dumps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

import numpy as np

from tocsin.dump_detectors.abstract import Device, Dump, DumpDetector, Finding
from tocsin.log_detector import novelty, numbers, order, rates
from tocsin.log_detector.counting import Counted, counted
from tocsin.log_detector.expected import Expected
from tocsin.log_detector.findings import new_templates, rate_findings
from tocsin.log_detector.knowledge import Kind, Knowledge, Row
from tocsin.log_detector.logarithm import ln_of
from tocsin.log_detector.operational import table_full, unlike_a_log
from tocsin.log_detector.settings import LogSettings, settings_of
from tocsin.log_detector.state import from_bytes, to_bytes
from tocsin.log_detector.tally import DumpTally, Rules, tally
from tocsin.templates.dictionary import Dictionary

RATES_SHARE: Final = 0.4
NEW_SHARE: Final = 0.25
ORDER_SHARE: Final = 0.15
NUMBERS_SHARE: Final = 0.2
"""Of the false alarms that are allowed."""


class Logs(DumpDetector):
    """One device. docs/explanation/logs.md says what it learns and what each finding means."""

    name: ClassVar[str] = "logs"
    version: ClassVar[str] = "1"

    def setup(self, config: Mapping[str, object]) -> None:
        self._settings: LogSettings = settings_of(config)
        self._expect(None)

    def _expect(self, dictionary: Dictionary | None) -> None:
        self._dictionary = dictionary
        self._expected = Expected(self._settings.dictionary, dictionary)

    def start(self, device: Device) -> None:
        self._zone = self._settings.zone_of(device.device)
        self._known = Knowledge()

    def process(self, dump: Dump) -> Iterator[Finding]:
        known = self._known
        if dump.dictionary is not self._dictionary:
            self._expect(dump.dictionary)
        rules = Rules(self._zone, self._settings.format_of(dump.application))
        found = tally(dump, known.offsets, known.end_ms, rules)
        table = counted(known, found)
        ready = known.hours >= self._settings.learn_h
        yield from unlike_a_log(found, table)
        young = self._young()
        expected = self._expected_in(table, young)
        yield from self._new(table, young)
        judged = rates.judge(known, table, self._limit(), self._judgeable(young))
        pairs = order.pairs_of(found, table)
        if ready:
            yield from rate_findings(known, table, judged, young, expected)
            yield from order.changed_orders(known, table, pairs, self._allowed(ORDER_SHARE), young)
        yield from self._shifted(table, ready)
        order.learn(known, pairs)
        shapes = self._learn(found, table, judged, young)
        yield from table_full(known, table, shapes)

    def note(self) -> str:
        learnt_h, wanted_h = self._known.hours, self._settings.learn_h
        if learnt_h >= wanted_h:
            return ""
        at_once = "; templates outside the dictionary are told already" if self._expected.whole else ""
        return f"learning, {learnt_h:.0f} of {wanted_h:.0f} h of logs seen{at_once}"

    def save(self) -> bytes:
        return to_bytes(self._known)

    def load(self, state: bytes, version: str) -> None:
        self._known = from_bytes(state)

    def _allowed(self, share: float) -> float:
        return self._settings.false_alarms_per_month * share

    def _shifted(self, table: Counted, ready: bool) -> Iterator[Finding]:
        values = numbers.values_of(table)
        allowed, hold_h = self._allowed(NUMBERS_SHARE), self._settings.hold_h
        found = list(numbers.shifted(self._known, table, values, allowed, hold_h))
        yield from found if ready else ()

    def _young(self) -> dict[int, Row]:
        """Templates first seen less than a hold ago, which have no rate to be judged by."""
        at_least = self._known.hours - min(self._settings.hold_h, self._settings.learn_h)
        return {row.uid: row for row in self._known.rows if row.born_h > at_least}

    def _judgeable(self, young: Mapping[int, Row]) -> rates.Flags:
        ready = self._known.hours >= self._settings.learn_h
        return np.array([ready and row.uid not in young for row in self._known.rows], np.bool_)

    def _limit(self) -> float:
        """How much evidence is abnormal: chance comes to it less often than what is allowed."""
        known = self._known
        slots = novelty.MONTH_H * max(known.slots, 1) / max(known.hours, 1.0)
        return ln_of(max(len(known.rows) * len(rates.TIMES) * slots / self._allowed(RATES_SHARE), 3.0))

    def _new(self, table: Counted, young: Mapping[int, Row]) -> Iterator[Finding]:
        known = self._known
        fresh: list[tuple[float, Row]] = []
        per_month = self._allowed(NEW_SHARE)
        for row in young.values():
            if row.kind is not Kind.TEMPLATE or row.uid not in table.seen:
                continue
            row.seen += sum(shape.total for shape in table.seen[row.uid])
            if self._is_told(row, table):
                fresh.append((novelty.score_of(known, row, per_month), row))
        yield from new_templates(known, table, fresh)

    def _expected_in(self, table: Counted, young: Mapping[int, Row]) -> set[str]:
        """Components with lines of a template that is new here and expected, which explains more lines."""
        return {
            row.component for uid, row in young.items() if uid in table.seen and row.text in self._expected
        }

    def _is_told(self, row: Row, table: Counted) -> bool:
        if row.component in table.beyond or row.text in self._expected:
            return False
        return self._expected.whole or row.born_h >= self._settings.learn_h

    def _learn(self, found: DumpTally, table: Counted, judged: rates.Judged, young: Mapping[int, Row]) -> int:
        """Gives how many shapes in use were forgotten."""
        known = self._known
        hours = float(table.hours.sum())
        lines = [
            (row, sum(shape.total for shape in table.seen[uid]))
            for uid, row in young.items()
            if uid in table.seen and row.kind is Kind.TEMPLATE
        ]
        born = [row for row in table.born if row.kind is Kind.TEMPLATE]
        novelty.learn(known, born, lines, hours)
        untold = np.array([not (row.uid in young and row.reported) for row in known.rows], np.bool_)
        rates.learn(known, table, judged, untold, self._settings.hold_h)
        forgotten = known.forget_shapes()
        known.hours += hours
        known.slots += len(table.cells)
        known.dumps += 1
        known.end_ms = max(found.to_ms, known.end_ms)
        names = {row.component for row in known.rows}
        known.offsets = {name: ms for name, ms in found.offsets.items() if name in names}
        return forgotten
