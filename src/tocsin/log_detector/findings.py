"""What a dump shows, as findings: one for each cause, not one for each number that is off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from tocsin.dump_detectors.abstract import EvidenceLine, Finding
from tocsin.log_detector.counting import Counted
from tocsin.log_detector.knowledge import Kind, Knowledge, Row
from tocsin.log_detector.rates import Judged
from tocsin.log_detector.wording import finding, name_of, often, quoted, times
from tocsin.templates._header_kernel import ERROR, WARNING

SINGLY_MAX: Final = 4
"""So many new or missing templates of a component are told one by one."""
SHOWN_MAX: Final = 3


def new_templates(known: Knowledge, table: Counted, fresh: Sequence[tuple[float, Row]]) -> Iterator[Finding]:
    """A finding for each of the strangest new templates of a component; the first says how many more."""
    by_component: dict[str, list[tuple[float, Row]]] = {}
    for score, row in fresh:
        if score > 1.0:
            row.reported = True
            by_component.setdefault(row.component, []).append((score, row))
    for component, rows in sorted(by_component.items()):
        rows.sort(key=lambda each: (-each[0], each[1].uid))
        for place, (score, row) in enumerate(rows[:SINGLY_MAX]):
            others = len(rows) - SINGLY_MAX if place == 0 else 0
            count = sum(shape.total for shape in table.seen[row.uid])
            more = f", with {others} other new templates" if others > 0 else ""
            reason = (
                f"{quoted(row.text)} came {often(count)} in {_hours(table):.1f} h, and never in the "
                f"{row.born_h:.0f} h of logs before its first{more}"
            )
            facts = _facts(row, count, 0.0) | {"new_templates": len(rows), "seen": row.seen}
            yield finding(
                table, component, "new_template", score, reason,
                key=row.id, level=row.level, facts=facts, lines=table.lines(row.uid),
            )  # fmt: skip


def rate_findings(
    known: Knowledge, table: Counted, judged: Judged, young: Mapping[int, Row], expected: set[str]
) -> Iterator[Finding]:
    """What comes too often or too seldom, component by component. Marks the rows of a component as held
    where all of it is off. `expected`: components with new lines that are expected."""
    places: dict[str, list[int]] = {}
    for place, row in enumerate(known.rows):
        places.setdefault(row.component, []).append(place)
    told = {row.component for row in young.values() if row.reported and row.uid in table.seen} | expected
    for component, own in sorted(places.items()):
        yield from _Component(known, table, judged, component, own).findings(component in told)


class _Component:
    """The rows of one component in a dump that has been judged."""

    def __init__(self, known: Knowledge, table: Counted, judged: Judged, name: str, own: list[int]) -> None:
        self.rows, self.table, self.judged, self.name = known.rows, table, judged, name
        self.own = own
        self.total = {place: float(judged.seen[place]) for place in own}
        strange = [place for place in own if judged.scores[place] > 1.0]
        self.strange = sorted(strange, key=lambda place: (-judged.scores[place], place))
        self.whole = next(place for place in own if known.rows[place].kind is Kind.ALL)

    def findings(self, explained: bool) -> Iterator[Finding]:
        """`explained`: a new template has been told of, or is expected, which explains more lines."""
        whole, judged = self.whole, self.judged
        off = judged.scores[whole] > 1.0
        above = bool(judged.above[whole])
        templates = [place for place in self.strange if self.rows[place].kind is Kind.TEMPLATE]
        same = [place for place in templates if bool(judged.above[place]) == above]
        if off and not above and self.total[whole] == 0:
            yield self._told(whole, "component_silent", "silent", [])
            judged.held[self.own] = True
        elif off and (len(same) >= 2 or not templates) and not (above and explained):
            yield self._told(whole, "component_rate", "more" if above else "fewer", same)
            judged.held[self.own] = True
        else:
            yield from self._of_templates(templates)
            yield from self._of_levels(templates, explained)

    def _of_templates(self, templates: list[int]) -> Iterator[Finding]:
        gone = [place for place in templates if not self.judged.above[place] and self.total[place] == 0]
        for place in gone[:SINGLY_MAX]:
            yield self._told(place, "vanished_template", self.rows[place].id, gone[SINGLY_MAX:])
        for above in (True, False):
            moved = [
                place for place in templates if bool(self.judged.above[place]) is above and place not in gone
            ]
            if moved:
                yield self._told(moved[0], "template_rate", "more" if above else "fewer", moved[1:])

    def _of_levels(self, templates: list[int], explained: bool) -> Iterator[Finding]:
        levels = [place for place in self.strange if self.rows[place].kind > Kind.ALL]
        above = {bool(self.judged.above[place]) for place in templates} | ({True} if explained else set())
        for place in levels:
            if bool(self.judged.above[place]) not in above:
                yield self._told(place, "level_rate", self.rows[place].id, [])

    def _told(self, place: int, code: str, key: str, others: Sequence[int]) -> Finding:
        row, judged = self.rows[place], self.judged
        usual = float(judged.usual[place])
        more = f"; so do {len(others)} other templates" if others else ""
        reason = f"{name_of(row)} {times(self.total[place], usual, float(judged.hours[place]))}{more}"
        return finding(
            self.table, self.name, code, float(judged.scores[place]), reason, key=key,
            level=_level(row) if judged.above[place] else 0,
            facts=_facts(row, int(self.total[place]), usual) | {"templates": len(others) + 1},
            lines=self._lines([place, *others]),
        )  # fmt: skip

    def _lines(self, places: Sequence[int]) -> list[EvidenceLine]:
        found: list[EvidenceLine] = []
        for place in places[:SHOWN_MAX]:
            found += self.table.lines(self.rows[place].uid)
        return found


def _level(row: Row) -> int:
    return {Kind.WARNINGS: WARNING, Kind.ERRORS: ERROR}.get(row.kind, row.level)


def _facts(row: Row, count: int, usual: float) -> dict[str, str | int | float | bool]:
    facts: dict[str, str | int | float | bool] = {"count": count, "usual": round(usual, 3)}
    if row.kind is Kind.TEMPLATE:
        facts |= {"template": row.text, "template_id": row.id, "before": row.example}
    return facts


def _hours(table: Counted) -> float:
    return float(table.hours.sum())
