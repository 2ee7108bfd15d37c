"""The order of a device's dumps against a plain model, whatever comes and however often it is put away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from proof.model.dumps import DumpModel
from tocsin.control import DumpOutcome, DumpReceived, GapGivenUp
from tocsin.processing.dump_order import DumpOrder, DumpPlace, Moved

WAIT_MS = 3 * 60_000
Step = tuple[str, int, int]

STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.sampled_from(["accepted", "accepted", "accepted", "conflict", "quarantined"]),
            st.integers(0, 2),
            st.integers(1, 9),
        ),
        st.tuples(st.just("tick"), st.just(0), st.just(0)),
        st.tuples(st.just("give up"), st.integers(0, 2), st.integers(0, 9)),
    ),
    max_size=40,
)


def dump(number: tuple[int, int], outcome: str = "accepted") -> DumpReceived:
    return DumpReceived(
        tenant="t",
        device="d",
        epoch=number[0],
        sequence=number[1],
        sha256=f"{number[0]:032x}{number[1]:032x}",
        size_bytes=1,
        outcome=DumpOutcome(outcome),
    )


def put_away(order: DumpOrder) -> DumpOrder:
    """As a checkpoint keeps it and a restart reads it."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(order), type=DumpOrder)


class Both:
    """The order and its model, given the same steps."""

    def __init__(self, restarts: bool) -> None:
        self.order, self.model, self.restarts = DumpOrder(), DumpModel(), restarts
        self.now_ms = 0
        self.received = 0
        self.moved: list[Moved] = []

    def step(self, step: Step) -> None:
        if self.restarts:
            self.order = put_away(self.order)
        what, epoch, number = step
        if what == "tick":
            self._tick()
        elif what == "give up":
            self._give_up(epoch, 1, number)
        else:
            self.received += 1
            self.moved.append(self.order.receive(dump((epoch, number), what)))
            self.model.receive((epoch, number), what)

    def _tick(self) -> None:
        self.now_ms += 60_000
        self.order.tick(self.now_ms)
        self.model.tick(self.now_ms)
        gap = self.order.overdue(self.now_ms, WAIT_MS)
        assert gap == self.model.overdue(self.now_ms, WAIT_MS)
        if gap is not None:
            self._give_up(*gap)

    def _give_up(self, epoch: int, first: int, last: int) -> None:
        record = GapGivenUp(tenant="t", device="d", epoch=epoch, from_sequence=first, to_sequence=last)
        self.moved.append(self.order.give_up(record))
        self.model.give_up(epoch, last)

    def numbers(self, name: str) -> list[tuple[int, int]]:
        """What was set free so far, in order."""
        found = [item for moved in self.moved for item in getattr(moved, name)]
        return [(item.epoch, item.sequence) for item in found]


def run(steps: Sequence[Step], *, restarts: bool = False) -> Both:
    both = Both(restarts)
    for step in steps:
        both.step(step)
    return both


@given(STEPS)
@example([("accepted", 0, 3), ("give up", 0, 1), ("give up", 0, 2), ("accepted", 0, 2)])
@example([("accepted", 0, 3), ("give up", 0, 1), ("accepted", 0, 1), ("give up", 0, 2)])
def test_order_is_that_of_the_model(steps: list[Step]) -> None:
    """Whatever comes, the same dumps are ready, too late and waiting as in the plain model."""
    both = run(steps)
    assert both.numbers("ready") == both.model.ready
    assert both.numbers("after_gap") == both.model.after_gap
    assert [item.place for item in both.order.waiting] == both.model.waiting()
    spans = [span for moved in both.moved for span in moved.missing]
    assert [n for a, b in spans for n in range(a, b + 1)] == [n for _, n in both.model.missing]


@given(STEPS)
def test_every_dump_is_counted_once(steps: list[Step]) -> None:
    """Received = ready + waiting + after gap + duplicate + conflict + quarantined, after every step."""
    both = Both(restarts=False)
    for step in steps:
        both.step(step)
        counts = both.order.counts
        assert sum(counts.values()) == both.received
        changed: Counter[str] = Counter()
        for moved in both.moved:
            changed.update(moved.counts)
        assert +changed == +Counter(counts)
        held = [item for item in both.order.waiting if not item.quarantined]
        assert counts.get(DumpPlace.WAITING, 0) == len(held)
        assert counts.get(DumpPlace.READY, 0) == len(both.numbers("ready"))
    for name in ("duplicate", "conflict", "quarantined", "after_gap"):
        assert both.order.counts.get(DumpPlace(name), 0) == both.model.counts[name]


@given(STEPS)
def test_order_survives_restarts(steps: list[Step]) -> None:
    """Put away and read again before every step, it ends as if it had run through."""
    once, often = run(steps), run(steps, restarts=True)
    assert put_away(once.order) == often.order
    assert once.moved == often.moved


@given(STEPS)
def test_ready_dumps_ascend(steps: list[Step]) -> None:
    """No dump is ready before one of a lower number or an older epoch, and none twice."""
    ready = run(steps).numbers("ready")
    assert all(one < other for one, other in pairwise(ready))


def test_a_gap_is_given_up_after_its_time() -> None:
    """A missing dump is waited for from the first tick that finds others behind it, then named."""
    both = run([("accepted", 0, 1), ("accepted", 0, 4), *[("tick", 0, 0)] * 3])
    assert both.numbers("ready") == [(0, 1)]
    assert list(both.order.missing()) == [(2, 3)]
    both.step(("tick", 0, 0))
    assert both.numbers("ready") == [(0, 1), (0, 4)]
    assert both.moved[-1].missing == [(2, 3)]


def test_all_that_was_waited_for_long_enough_is_given_up_at_once() -> None:
    """Every gap below a dump that waited its time goes at one tick; one above it is waited for further."""
    order = DumpOrder()
    for number in (1, 3, 5):
        order.receive(dump((0, number)))
    order.tick(60_000)
    order.receive(dump((0, 7)))
    assert order.overdue(60_000 + WAIT_MS - 1, WAIT_MS) is None
    assert order.overdue(60_000 + WAIT_MS, WAIT_MS) == (0, 2, 4)


def test_a_device_that_joins_late_misses_nothing() -> None:
    """The first dump of a device may have any number; lower ones that come in time are taken first."""
    both = run([("accepted", 0, 7), ("tick", 0, 0), ("accepted", 0, 6), *[("tick", 0, 0)] * 3])
    assert both.numbers("ready") == [(0, 6), (0, 7)]
    assert both.moved[-1].missing == []


def test_huge_numbers_cost_nothing() -> None:
    """A gap of 2^53 numbers is one span."""
    order = DumpOrder()
    order.receive(dump((0, 1)))
    order.receive(dump((0, 2**53)))
    gap = GapGivenUp(tenant="t", device="d", epoch=0, from_sequence=2, to_sequence=2**53 - 1)
    moved = order.give_up(gap)
    assert moved.missing == [(2, 2**53 - 1)]
    assert [item.sequence for item in moved.ready] == [2**53]
    assert order.numbers.gaps == [(2, 2**53 - 1)]


def test_many_that_wait_give_up_a_gap_early() -> None:
    """What waits is bounded: behind more than the maximum the gap is overdue at once."""
    order = DumpOrder()
    for number in (1, *range(3, 1_004)):
        order.receive(dump((0, number)))
    assert order.overdue(0, WAIT_MS) == (0, 2, 2)
