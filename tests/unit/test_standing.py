"""What goes on is told as it is now, and nothing that is stored changes by it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.kit import START_MS, LogHistory, Row, events_of, fleet, log_of
from tests.unit.test_processor import SEEDS, digests, late, split
from tocsin.control import MaintenanceSet, Tick
from tocsin.log.abstract import Record
from tocsin.model import Episode, Flag
from tocsin.processing.processor import process
from tocsin.processing.standing import as_it_stands, lasting_ids
from tocsin.processing.state import PartitionState


class Reader:
    """Processes a log and looks at what goes on after every record."""

    def __init__(self) -> None:
        self.state = PartitionState(0)
        self.newest: dict[str, Episode] = {}  # as published
        self.told: dict[str, Episode] = {}  # as it stood at the last look

    def read(self, records: list[Record], *, looks: bool = True) -> None:
        for record in records:
            published = process([record], self.state, LogHistory(records)).episodes
            for episode in published:
                self.check_end(episode)
                self.newest[episode.id] = episode
            if looks:
                self.look()

    def look(self, now_ms: int = 0) -> None:
        for episode in self.newest.values():
            self.told[episode.id] = as_it_stands(episode, self.state.tenants["t"], now_ms)

    def check_end(self, episode: Episode) -> None:
        """What a run closes with is what was told of it just before, whatever was published last."""
        told = self.told.get(episode.id)
        if told and episode.end_ms is not None and not episode.retracted and episode.reason not in _NOTICES:
            names = ("last_abnormal_ms", "peak_ms", "readings", "value", "score", "explanation", "reason")
            assert [getattr(told, name) for name in names] == [getattr(episode, name) for name in names]


WINDOW = MaintenanceSet(
    tenant="t",
    window="mw_1",
    revision=1,
    effective_ms=0,
    devices=("pump-0",),
    spans=((START_MS, START_MS + 86_400_000),),
    no_alert=True,
)
ENDED = replace(WINDOW, spans=())
_NOTICES = ("silent", "missing", "clock")


@pytest.mark.parametrize("kept_back", [False, True])
def test_a_run_is_told_as_its_end_will_tell_it(kept_back: bool) -> None:
    """Reading by reading the sentence grows with the run; only openings and worsenings were published.

    So it is with what maintenance keeps back.
    """
    values = [20 + step % 7 * 0.1 + (30.0 if 200 <= step < 240 else 0.0) for step in range(300)]
    rows: list[Row] = [("pump-0", START_MS + n * 60_000, {"t": value}) for n, value in enumerate(values)]
    first, *others = split(rows, 1)
    records = log_of([first, *([WINDOW] if kept_back else [ENDED]), *others])
    reader = Reader()
    reader.read(records[:231])
    (lasting,) = [
        reader.newest[name] for name in lasting_ids(reader.state.tenants["t"], ["pump-0", "unknown"])
    ]
    assert bool(lasting.suppressed) == kept_back
    assert lasting.explanation.endswith("abnormal for 5 minutes")
    assert reader.told[lasting.id].explanation.endswith("abnormal for 29 minutes")
    assert reader.told[lasting.id].evidence == lasting.evidence
    reader.read(records[231:])
    assert reader.newest[lasting.id].end_ms is not None


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, shift=st.floats(5, 50), length=st.integers(10, 80))
def test_looking_changes_nothing(seed: int, shift: float, length: int) -> None:
    """With looks or without, digests and published episodes are the same; each end is as it was told."""
    rows = fleet(seed, devices=2)
    last = max(ts for _, ts, _ in rows)
    rows += [
        (device, last + step * 60_000, {name: value + shift for name, value in values.items()})
        for step in range(1, length)
        for device, _, values in rows[-2:]
    ]
    records = log_of(split(late(rows, seed), 1))
    looked, blind = Reader(), Reader()
    looked.read(records)
    blind.read(records, looks=False)
    assert looked.newest == blind.newest
    for name in ("raw", "scored", "final"):
        assert digests(looked.state, name) == digests(blind.state, name)


def test_a_silence_grows_with_the_clock() -> None:
    """While nothing comes, the sentence counts on to the moment of reading."""
    rows: list[Row] = [("pump-0", START_MS + step * 60_000, {"t": 20.0}) for step in range(60)]
    reader = Reader()
    live = [events_of(rows[at : at + 10], flags=Flag.LIVE) for at in range(0, len(rows), 10)]
    newest_ms = rows[-1][1]
    reader.read(log_of([*live, Tick(now_ms=newest_ms + 3_600_000)]))
    (silence,) = [episode for episode in reader.newest.values() if episode.reason == "silent"]
    assert lasting_ids(reader.state.tenants["t"], ["pump-0", "unknown"]) == {silence.id}
    reader.look(now_ms=newest_ms + 7_200_000)
    told = reader.told[silence.id]
    assert told.explanation.startswith("nothing was received for 2 hours; ")
    assert told.last_abnormal_ms == newest_ms + 7_200_000
    assert silence.explanation.startswith("nothing was received for 1 hour; ")
