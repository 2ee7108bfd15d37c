"""A dump's lines as a table: hours by what is counted; what is new gets a row of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np

from tocsin.dump_detectors.abstract import EvidenceLine
from tocsin.log_detector.component_tally import ComponentTally, ShapeTally, short
from tocsin.log_detector.knowledge import (
    EXAMPLE_CHARACTERS,
    TEXT_CHARACTERS,
    Floats,
    Kind,
    Knowledge,
    Known,
    Row,
)
from tocsin.log_detector.stretch import Ints
from tocsin.log_detector.tally import DumpTally, spans
from tocsin.templates._header_kernel import ERROR, WARNING
from tocsin.templates.dictionary import template_id
from tocsin.templates.grouping import Group, canonical, groups_of
from tocsin.templates.shape import shown, tokens_of

NEW_MAX: Final = 256
"""A component with more new shapes in one dump writes no log, as one that writes no text: only those shapes
that came again get rows."""
REPEATED_MAX: Final = 64
BORN_MAX: Final = 192
"""So many new templates of a dump get rows, whatever component they are of; the others with later dumps."""
HOUR_MS: Final = 3_600_000
_LEAST_H: Final = 1 / 60
_PSEUDO: Final = (Kind.ALL, Kind.WARNINGS, Kind.ERRORS)


@dataclass(slots=True)
class Counted:
    """`counts[s, r]`: lines of row r in hour s, `cells[s]` of the week, of which `hours[s]` is covered.
    `untimed[r]` are lines of no known hour, until they are shared out.

    `seen` has the shapes of a row, `beyond` how many new shapes of a component that writes no log found no
    room, `unborn` how many new templates of others found none, `forgotten` how many in use made room.
    """

    counts: Floats
    untimed: Floats
    cells: list[int]
    hours: Floats
    from_ms: int
    to_ms: int
    seen: dict[int, list[ShapeTally]] = field(default_factory=dict)
    born: list[Row] = field(default_factory=list)
    beyond: dict[str, int] = field(default_factory=dict)
    unborn: int = 0
    forgotten: int = 0
    uids: dict[tuple[str, bytes], int] = field(default_factory=dict)

    def uid_of(self, component: str, text: bytes) -> int:
        """The row of a shape, 0 for one that found no room."""
        return self.uids.get((component, short(text)), 0)

    def share_out(self, usual: Floats) -> None:
        """Put lines without a time into hours as they usually come; `usual` has the form of `counts`."""
        if self.untimed.any():
            self.counts += usual / usual.sum(axis=0) * self.untimed
            self.untimed[:] = 0.0

    def lines(self, uid: int) -> list[EvidenceLine]:
        """The first and the last line of a row, of those that the dump has."""
        shapes = self.seen.get(uid, [])
        if not shapes:
            return []
        found = [shapes[0].examples[0], shapes[-1].examples[-1]]
        return found if found[0] != found[1] else found[:1]


@dataclass(slots=True)
class _Fresh:
    """What a dump brings that is new: rows, and what gets none, as Counted has it."""

    born: list[Row] = field(default_factory=list)
    beyond: dict[str, int] = field(default_factory=dict)
    unborn: int = 0


def counted(known: Knowledge, found: DumpTally) -> Counted:
    """Count a dump; takes new shapes and rows into what is known."""
    hours = spans(found) or [(0, found.from_ms, _LEAST_H if found.from_ms else 1.0)]
    fresh = _Fresh()
    forgotten = known.forget_components(found.components)
    for name, component in found.components.items():
        _take_shapes(known, name, component, fresh)
    forgotten += known.make_room(len(fresh.born))
    known.add(fresh.born)
    uids = {key: each.uid for key, each in known.shapes.items()}
    result = Counted(
        counts=np.zeros((len(hours), len(known.rows)), np.float64),
        untimed=np.zeros(len(known.rows), np.float64),
        cells=[_cell(begin + found.offset_ms) for _, begin, _ in hours],
        hours=np.array([covered for _, _, covered in hours], np.float64),
        from_ms=found.from_ms,
        to_ms=found.to_ms,
        born=fresh.born,
        beyond=fresh.beyond,
        unborn=fresh.unborn,
        forgotten=forgotten,
        uids=uids,
    )
    slots = [slot for slot, _, _ in hours]
    _count(known, found, result, slots)
    return result


def _cell(local_ms: int) -> int:
    """The hour of the week of a time by the clock on the wall, from Monday."""
    day, hour = divmod(local_ms // HOUR_MS, 24)
    return int((day + 3) % 7 * 24 + hour)


def _take_shapes(known: Knowledge, name: str, component: ComponentTally, into: _Fresh) -> None:
    """Give each new shape the row of the template that it belongs to."""
    if not any(row.component == name and row.kind is Kind.ALL for row in known.rows):
        into.born.extend(_row(known, name, kind) for kind in _PSEUDO)
    if not component.is_text:
        into.beyond[name] = 0
    fresh = [text for text in component.shapes if (name, short(text)) not in known.shapes]
    if not fresh:
        return
    if len(fresh) > NEW_MAX or not component.is_text:
        repeated = [text for text in fresh if component.shapes[text].total > 1]
        repeated.sort(key=lambda text: (-component.shapes[text].total, text))
        into.beyond[name] = len(fresh) + component.dropped - len(repeated[:REPEATED_MAX])
        fresh = repeated[:REPEATED_MAX]
    old = [key[1] for key in sorted(known.shapes) if key[0] == name]
    texts = old + [short(text) for text in fresh]
    for group in groups_of([tokens_of(text) for text in texts]):
        new = [fresh[shape - len(old)] for shape in group.shapes if shape >= len(old)]
        if new:
            uids = [known.shapes[name, texts[shape]].uid for shape in group.shapes if shape < len(old)]
            _join(known, name, component, group, new, min(uids, default=-1), into)


def _join(
    known: Knowledge,
    name: str,
    component: ComponentTally,
    group: Group,
    new: list[bytes],
    uid: int,
    into: _Fresh,
) -> None:
    text = shown(canonical(group.tokens))[:TEXT_CHARACTERS]
    if uid < 0 and sum(row.kind is Kind.TEMPLATE for row in into.born) >= BORN_MAX:
        into.unborn += 1
        return
    if uid < 0:
        first = component.shapes[new[0]].examples[0].text[:EXAMPLE_CHARACTERS]
        row = _row(known, name, Kind.TEMPLATE, text, first)
        into.born.append(row)
        uid = row.uid
    else:
        for row in [*known.rows, *into.born]:
            if row.uid == uid:
                row.text = text
    for each in new:
        known.shapes[name, short(each)] = Known(component=name, text=short(each), uid=uid, last_h=known.hours)


def _row(known: Knowledge, name: str, kind: Kind, text: str = "", example: str = "") -> Row:
    known.next_uid += 1
    return Row(
        uid=known.next_uid,
        component=name,
        kind=kind,
        id=template_id(text) if kind is Kind.TEMPLATE else kind.name.lower(),
        text=text,
        born_h=known.hours,
        last_h=known.hours,
        example=example,
    )


def _count(known: Knowledge, found: DumpTally, result: Counted, slots: list[int]) -> None:
    places = known.places()
    pseudo = {(row.component, row.kind): place for place, row in enumerate(known.rows) if row.kind}
    for name, component in found.components.items():
        for text, shape in component.shapes.items():
            each = known.shapes.get((name, short(text)))
            if each is None:
                continue
            each.last_h = known.hours
            row = known.rows[places[each.uid]]
            row.last_h, row.level = known.hours, max(row.level, shape.level)
            counts = shape.counts
            result.counts[:, places[each.uid]] += _by_hour(counts, slots)
            result.untimed[places[each.uid]] += float(counts[-1])
            result.seen.setdefault(each.uid, []).append(shape)
        levels = component.levels
        for kind, lines in (
            (Kind.ALL, levels.sum(axis=0)),
            (Kind.WARNINGS, levels[WARNING]),
            (Kind.ERRORS, levels[ERROR:].sum(axis=0)),
        ):
            known.rows[pseudo[name, kind]].last_h = known.hours
            result.counts[:, pseudo[name, kind]] += _by_hour(lines, slots)
            result.untimed[pseudo[name, kind]] += float(lines[-1])


def _by_hour(counts: Ints, slots: list[int]) -> Floats:
    """The counts of these hours; what lies outside belongs to the first or the last."""
    taken = counts[slots].astype(np.float64)
    taken[0] += float(counts[: slots[0]].sum())
    taken[-1] += float(counts[slots[-1] + 1 : -1].sum())
    return taken
