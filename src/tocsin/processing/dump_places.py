"""Where each of a device's dumps belongs, and which are missing, told from the decisions about them."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from tocsin.control import DumpDecision, DumpOutcome, DumpReceived
from tocsin.processing.dump_order import DumpOrder, DumpPlace, Moved


class PlacedDump(msgspec.Struct, frozen=True, kw_only=True):
    """A dump that was received, and where it belongs. `processed`: every dump detector has had it."""

    dump: DumpReceived
    place: DumpPlace
    processed: bool = False

    @property
    def key(self) -> tuple[int, int, str]:
        """What lists are ordered by."""
        return self.dump.epoch, self.dump.sequence, self.dump.sha256

    @property
    def state(self) -> str:
        """For people: its place, or that it is processed."""
        return "processed" if self.processed else self.place.value


class MissingDumps(msgspec.Struct, frozen=True, kw_only=True):
    """Numbers that did not come, both ends within: waited for, or `given_up`."""

    epoch: int
    first: int
    last: int
    given_up: bool


class PlacedDumps(msgspec.Struct, frozen=True, kw_only=True):
    """All dumps of a device by epoch and number, each body once, and what is missing between them.

    `notes` is what dump detectors say of where they stand with it, by name.
    """

    dumps: tuple[PlacedDump, ...]
    missing: tuple[MissingDumps, ...]
    notes: dict[str, str] = {}


def place_dumps(decisions: Iterable[DumpDecision]) -> PlacedDumps:
    """Go through a device's decisions, all of them and in the order of the log, as the processor did."""
    order, given_up = DumpOrder(), list[tuple[int, int, int]]()
    found: dict[tuple[int, int, str], PlacedDump] = {}
    for decision in decisions:
        if isinstance(decision, DumpReceived):
            moved = order.receive(decision)
            for item in _received(decision, moved):
                found.setdefault(item.key, item)
        else:
            moved = order.give_up(decision)
            given_up += [(decision.epoch, first, last) for first, last in moved.missing]
        for place, dumps in ((DumpPlace.READY, moved.ready), (DumpPlace.AFTER_GAP, moved.after_gap)):
            for dump in dumps:
                item = PlacedDump(dump=dump, place=place)
                found[item.key] = item
    return PlacedDumps(
        dumps=tuple(found[key] for key in sorted(found)),
        missing=tuple(_missing(order, given_up)),
    )


def _received(dump: DumpReceived, moved: Moved) -> Iterable[PlacedDump]:
    """A dump that waits for now, or is done with; nothing for one that is known."""
    if dump.outcome is DumpOutcome.CONFLICT:
        yield PlacedDump(dump=dump, place=DumpPlace.CONFLICT)
    elif DumpPlace.DUPLICATE in moved.counts:
        return
    elif dump.outcome is DumpOutcome.QUARANTINED:
        yield PlacedDump(dump=dump, place=DumpPlace.QUARANTINED)
    else:
        yield PlacedDump(dump=dump, place=DumpPlace.WAITING)


def _missing(order: DumpOrder, given_up: list[tuple[int, int, int]]) -> Iterable[MissingDumps]:
    """What of the given-up numbers has not come since, then what is waited for."""
    numberings = dict(order.older)
    if order.epoch is not None:
        numberings[order.epoch] = order.numbers
    for epoch, numbers in sorted(numberings.items()):
        for first, last in numbers.gaps:
            if any(each == epoch and low <= first and last <= high for each, low, high in given_up):
                yield MissingDumps(epoch=epoch, first=first, last=last, given_up=True)
    for first, last in order.missing():
        yield MissingDumps(epoch=order.epoch or 0, first=first, last=last, given_up=False)
