"""One machine: its components write, and at its times all that they wrote becomes a dump."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.simulate.dumps.archive import Style, pack
from tocsin.simulate.dumps.component_log import ComponentLog
from tocsin.simulate.dumps.components import GRAMMARS
from tocsin.simulate.dumps.faults import DumpFault, startups_ms
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.simulate.dumps.recorded import PER_HOUR, RecordedLines
from tocsin.simulate.dumps.schedule import HOUR_MS, offset_ms
from tocsin.simulate.dumps.work import work_at

_STYLES: Final = {Style.DEFLATE: 6, Style.STREAMED: 1, Style.ZSTD: 1, Style.STORED: 1, Style.ROTATED: 1}


@dataclass(frozen=True, slots=True)
class MadeDump:
    """A dump as its machine sends it at `to_ms`, with the lines of [from, to)."""

    device: str
    sequence: int
    from_ms: int
    to_ms: int
    lines: int
    archive: bytes


class Machine:
    """Device `number` of the fleet with its faults."""

    def __init__(
        self,
        fleet: DumpFleet,
        number: int,
        faults: Sequence[DumpFault] = (),
        recorded: RecordedLines | None = None,
    ) -> None:
        own = [fault for fault in faults if fault.device == number]
        self._fleet: Final = fleet
        self._number: Final = number
        self._logs: Final = {
            grammar.member: ComponentLog(
                fleet, number, grammar, [fault for fault in own if fault.component == grammar.component]
            )
            for grammar in GRAMMARS
        }
        self._recorded: Final = recorded
        self._rng: Final = fleet.rng("machine", number)
        self.style: Final = self._rng.choices(list(_STYLES), list(_STYLES.values()))[0]
        self._line = self._rng.randrange(1 << 30)

    def dumps(self, from_ms: int, to_ms: int, first: int = 1) -> Iterator[MadeDump]:
        """All dumps that are sent within [from, to), numbered from `first`, made one by one."""
        for sequence, at_ms in enumerate(self._fleet.sent_ms(self._number, from_ms, to_ms), first):
            yield self.dump(from_ms, at_ms, sequence)
            from_ms = at_ms

    def dump(self, from_ms: int, to_ms: int, sequence: int) -> MadeDump:
        """One dump with the lines of [from, to). Call it for one stretch of time after the other."""
        members = [(name, text.encode()) for name, text in self._written(from_ms, to_ms)]
        members.extend(self._real(from_ms, to_ms))
        return MadeDump(
            device=self._fleet.device(self._number), sequence=sequence, from_ms=from_ms, to_ms=to_ms,
            lines=sum(data.count(b"\n") for _, data in members), archive=pack(members, self.style),
        )  # fmt: skip

    def lines(self, from_ms: int, to_ms: int) -> Iterator[tuple[int, str, str]]:
        """The lines of all dumps that are sent within [from, to): time, component and text, by time.

        Instead of `dumps`: a machine writes each line once. Holds the lines of a dump.
        """
        for at_ms in self._fleet.sent_ms(self._number, from_ms, to_ms):
            startups = startups_ms(self._fleet, self._number, from_ms, at_ms)
            written = [
                (ts_ms, log.component, line)
                for log in self._logs.values()
                for ts_ms, line in log.timed(from_ms, at_ms, startups)
            ]
            yield from sorted(written, key=lambda each: each[0])
            from_ms = at_ms

    def _written(self, from_ms: int, to_ms: int) -> Iterator[tuple[str, str]]:
        startups = startups_ms(self._fleet, self._number, from_ms, to_ms)
        for name, log in self._logs.items():
            yield name, "".join(f"{line}\n" for line in log.advance(from_ms, to_ms, startups))

    def _real(self, from_ms: int, to_ms: int) -> Iterator[tuple[str, bytes]]:
        if self._recorded is None:
            return
        zone = self._fleet.zone(self._fleet.location(self._number))
        work = work_at(from_ms + offset_ms(zone, from_ms))
        mean = PER_HOUR * self._fleet.scale * work * (to_ms - from_ms) / HOUR_MS
        count = max(0, round(self._rng.gauss(mean, mean**0.5)))
        yield self._recorded.member(self._number), self._recorded.take(self._number, self._line, count)
        self._line += count
