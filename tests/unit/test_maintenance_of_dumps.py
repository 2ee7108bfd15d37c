"""Maintenance and dumps: what is found within a window is kept back, what goes on behind it is told."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from tests.kit import START_MS, LogHistory, events_of, log_of
from tests.replay_kit import restored
from tocsin.control import Control, DumpOutcome, DumpReceived, GapGivenUp, MaintenanceSet
from tocsin.dump_detectors.abstract import Finding
from tocsin.dump_detectors.episodes import Judged, OpenEpisodes, fold
from tocsin.events import EventBatch
from tocsin.model import Episode, MaintenanceActed, Severity
from tocsin.processing.maintenance import acted
from tocsin.processing.processor import process
from tocsin.processing.state import PartitionState

WINDOW = MaintenanceActed(window="mw_1", from_ms=2_000, until_ms=4_000, no_alert=True)
SET = MaintenanceSet(
    tenant="t",
    window="mw_1",
    revision=1,
    effective_ms=0,
    devices=("d", "e"),
    spans=((2_000, 4_000),),
    no_alert=True,
)


def dump(sequence: int) -> DumpReceived:
    """Of a second, from its number on."""
    return DumpReceived(
        tenant="t",
        device="d",
        sequence=sequence,
        sha256=f"{sequence:064x}",
        size_bytes=1,
        outcome=DumpOutcome.ACCEPTED,
        collected_from_ms=sequence * 1_000,
        collected_to_ms=sequence * 1_000 + 999,
    )


def finding(from_ms: int) -> Finding:
    return Finding(
        component="door",
        code="fault",
        severity=Severity.WARNING,
        score=2.0,
        key="",
        from_ms=from_ms,
        to_ms=from_ms // 1_000 * 1_000 + 999,
        reason="it is stuck",
    )


def found_in(*sequences: int, also_ms: Sequence[int] = (0,)) -> list[Episode]:
    """The states of the one episode of dumps with findings, in a row, one more without at the end.

    `also_ms` says how long behind its dump's beginning each finding begins.
    """
    states: list[Episode] = []
    going_on = OpenEpisodes()
    for sequence in (*sequences, sequences[-1] + 1):
        behind_ms = also_ms if sequence in sequences else ()
        findings = tuple(finding(sequence * 1_000 + each) for each in behind_ms)
        own = Judged(
            dump=replace(dump(sequence), windows=(WINDOW,)),
            detector="counting",
            version="1",
            partition=0,
            findings=findings,
        )
        folded = fold(going_on, own)
        going_on = folded.open
        states += folded.changed
    return states


def test_what_is_found_within_a_window_alone_alerts_nobody() -> None:
    """It is kept, with the window's id, also when it is over."""
    assert [each.suppressed for each in found_in(2, 3)] == ["mw_1"] * 3


def test_what_is_found_again_behind_a_window_is_told() -> None:
    """As the same episode, which opens there."""
    first, *more = found_in(3, 4)
    assert first.suppressed == "mw_1"
    assert {(each.id, each.suppressed, each.opened_ms) for each in more} == {(first.id, "", 4_000)}
    assert first.started_ms == more[-1].started_ms == 3_000


def test_it_opens_at_the_first_finding_behind_the_window() -> None:
    """Of several in one dump, in whatever order the detector gives them."""
    assert found_in(3, 4, also_ms=(700, 200, 900))[-1].opened_ms == 4_200


def test_what_was_found_before_a_window_goes_on() -> None:
    """Somebody has been told of it."""
    assert {each.suppressed for each in found_in(1, 2, 3)} == {""}


def freed(*contents: Control) -> list[DumpReceived]:
    records = log_of(contents)
    output = process(records, PartitionState(0), LogHistory(records))
    return [each for moved in output.dumps for each in moved.ready]


def test_a_dump_bears_the_windows_of_its_device_when_it_is_set_free() -> None:
    """Whoever judges it again finds the same, whatever was said since; also of a device without readings."""
    found = freed(dump(1), SET, dump(2), dump(4))
    assert [(each.sequence, each.windows) for each in found] == [(1, ()), (2, (WINDOW,))]
    assert [each.windows for each in freed(SET, dump(1))] == [()]  # it had sent nothing yet


def test_a_dump_that_came_after_its_gap_bears_them_too() -> None:
    """Its correction keeps back what it would have kept back in its turn."""
    gap = GapGivenUp(tenant="t", device="d", epoch=0, from_sequence=2, to_sequence=2, at_ms=9)
    records = log_of([dump(1), dump(3), SET, gap, dump(2)])
    output = process(records, PartitionState(0), LogHistory(records))
    late = [each for moved in output.dumps for each in moved.after_gap]
    assert [(each.sequence, each.windows) for each in late] == [(2, (WINDOW,))]


@pytest.mark.parametrize("others", [(), (events_of([("pump-0", START_MS, {"a": 20.0})]),)])
def test_a_device_of_dumps_alone_comes_back_from_a_checkpoint_with_its_window(
    others: tuple[EventBatch, ...],
) -> None:
    """Whatever others send: it is of no application, and not of theirs."""
    records = log_of([*others, dump(1), SET])
    state = PartitionState(0)
    process(records, state, LogHistory(records))
    for tenant in (state.tenant("t"), restored(state)[0].tenant("t")):
        device = tenant.device_number("d")
        assert device is not None
        assert tenant.streams[tenant.devices.rows["stream"][device]] == ("", "")
        assert acted(tenant.maintenance.of(device)) == (WINDOW,)
