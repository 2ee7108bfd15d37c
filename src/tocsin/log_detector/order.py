"""Which line follows which: among lines that keep an order, a pair that never came.

Two templates are a link if most lines of the first are followed by the second, and many of the second come
behind the first; links make chains, such as what is said at a start. A pair of lines of one chain that never
came has the probability of Krichevsky and Trofimov (1981), a half in all that were seen. Pairs of a chain in
one dump are added up: a line that stands elsewhere makes two or three.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from tocsin.dump_detectors.abstract import Finding
from tocsin.log_detector.counting import Counted
from tocsin.log_detector.knowledge import Follower, Knowledge, Row
from tocsin.log_detector.logarithm import ln_of
from tocsin.log_detector.tally import DumpTally
from tocsin.log_detector.wording import finding, quoted

LINKED: Final = 0.7
LINKED_BEHIND: Final = 0.4
"""A template may stand twice in a chain."""
AN_HOUR_MAX: Final = 0.5
"""Two runs of a chain that comes more often overlap now and then, which is no other order."""
SEEN_AT_LEAST: Final = 6.0
CHAIN_MAX: Final = 16
FOLLOWERS_MAX: Final = 24
UNSEEN: Final = 0.5
MONTH_H: Final = 720.0
Pairs = Mapping[tuple[int, int], int]


@dataclass(frozen=True, slots=True)
class _Strange:
    """A pair of one chain that never came."""

    first: Row
    second: Row
    usual: Row
    surprise: float


def pairs_of(found: DumpTally, table: Counted) -> dict[str, dict[tuple[int, int], int]]:
    """How often lines of one row came behind those of another, by component."""
    result: dict[str, dict[tuple[int, int], int]] = {}
    for name, component in found.components.items():
        pairs = result.setdefault(name, {})
        for (first, second), count in component.follows.items():
            key = table.uid_of(name, first), table.uid_of(name, second)
            if key[0] and key[1]:
                pairs[key] = pairs.get(key, 0) + count
    return result


def changed_orders(
    known: Knowledge, table: Counted, pairs: Mapping[str, Pairs], allowed: float, young: Mapping[int, Row]
) -> Iterator[Finding]:
    """A finding for each component whose chains have pairs that never came; `allowed` is per month."""
    rows = {row.uid: row for row in known.rows}
    links = _links(known)
    for component, own in sorted(pairs.items()):
        strange = [
            _Strange(rows[first], rows[second], rows[_usual(follower)], _surprise(follower))
            for first, second in sorted(own)
            if (follower := known.order.get(first)) is not None and follower.after
            and second not in follower.after
            and first not in young and second not in young and _one_chain(links, first, second)
        ]  # fmt: skip
        if strange:
            yield from _told(known, table, component, strange, allowed)


def learn(known: Knowledge, pairs: Mapping[str, Pairs]) -> None:
    """Take in the pairs of a dump, the most frequent of each row."""
    for own in pairs.values():
        for (first, second), count in sorted(own.items()):
            follower = known.order.setdefault(first, Follower())
            follower.total += count
            follower.after[second] = follower.after.get(second, 0.0) + count
    for follower in known.order.values():
        if len(follower.after) > FOLLOWERS_MAX:
            most = sorted(follower.after.items(), key=lambda item: (-item[1], item[0]))
            follower.after = dict(most[:FOLLOWERS_MAX])


def _links(known: Knowledge) -> dict[int, int]:
    """The link that leaves each row, where there is one."""
    found: dict[int, int] = {}
    for first, follower in sorted(known.order.items()):
        often = follower.total > AN_HOUR_MAX * known.hours
        if follower.total < SEEN_AT_LEAST or often or not follower.after:
            continue
        second = _usual(follower)
        count = follower.after[second]
        behind = known.order[second].total if second in known.order else count
        if first != second and count >= max(LINKED * follower.total, LINKED_BEHIND * behind):
            found[first] = second
    return found


def _usual(follower: Follower) -> int:
    """What mostly comes behind."""
    return max(follower.after, key=lambda uid: (follower.after[uid], -uid))


def _one_chain(links: Mapping[int, int], first: int, second: int) -> bool:
    return first != second and (_leads(links, first, second) or _leads(links, second, first))


def _leads(links: Mapping[int, int], first: int, second: int) -> bool:
    at: int | None = first
    for _ in range(CHAIN_MAX):
        at = links.get(at) if at is not None else None
        if at == second:
            return True
    return False


def _surprise(follower: Follower) -> float:
    """How improbable what never came is behind a row; what was forgotten may have come."""
    forgotten = follower.total - sum(follower.after.values())
    return ln_of((follower.total + 1.0) / (forgotten + UNSEEN))


def _told(
    known: Knowledge, table: Counted, component: str, strange: list[_Strange], allowed: float
) -> Iterator[Finding]:
    worst = max(strange, key=lambda pair: (pair.surprise, -pair.first.uid))
    a_month = known.order[worst.first.uid].total / max(known.hours - worst.first.born_h, 1.0) * MONTH_H
    score = sum(pair.surprise for pair in strange) / ln_of(max(a_month / allowed, 3.0))
    if score <= 1.0:
        return
    total = known.order[worst.first.uid].total
    reason = (
        f"{quoted(worst.second.text)} came behind {quoted(worst.first.text)}, which never was so in "
        f"{total:.0f} times; {quoted(worst.usual.text)} is usual there"
    )
    lines = sorted(
        {line for pair in strange for row in (pair.first, pair.second) for line in table.lines(row.uid)},
        key=lambda line: (line.member, line.number),
    )
    facts = {"pairs": len(strange), "seen": int(total)}
    key = min(pair.first.id for pair in strange)
    yield finding(table, component, "order_changed", score, reason, key=key, facts=facts, lines=lines[:8])
