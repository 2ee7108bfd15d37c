"""The digest agrees with a plain SHA-256 over sorted rows about what is the same and what is not."""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kit import LogHistory, Row, fleet, log_of
from tests.unit.test_processor import late, split
from tocsin.control import Correct
from tocsin.processing.hashing import combine, join
from tocsin.processing.hashing import split as halves
from tocsin.processing.judging import Judged
from tocsin.processing.processor import process
from tocsin.processing.state import PartitionState, digest_sums

DEVICES = ("pump-0", "pump-1", "pump-2")
SEEDS = st.integers(0, 10_000)


def rows_of(judged: Iterable[Judged]) -> list[bytes]:
    """Every verdict as the bytes DESIGN names: names, time, value, detector, verdict, score."""
    found = []
    for batch in judged:
        for verdicts in batch.verdicts:
            gathered, scores = verdicts.gathered, verdicts.scores
            for place in range(len(gathered.row)):
                event = int(gathered.event[place])
                names = (
                    batch.tenant,
                    batch.batch.streams[batch.batch.stream[event]][0],
                    batch.batch.device[event],
                    batch.batch.names[batch.batch.parameter[gathered.row[place]]],
                    verdicts.detector,
                )
                numbers = struct.pack(
                    "<qdBd",
                    gathered.readings.ts[place],
                    gathered.readings.value[place],
                    scores.verdict[place],
                    scores.score[place],
                )
                found.append("\0".join(names).encode() + numbers)
    return found


def both(rows: list[Row], *, corrected: bool) -> tuple[str, str]:
    """The digest `final` of a log, and SHA-256 over its sorted verdicts and closed episodes."""
    contents = split(rows, 31)
    records = log_of([*contents, Correct(tenant="t", devices=DEVICES)] if corrected else contents)
    state = PartitionState(0)
    output = process(records, state, LogHistory(records))
    if corrected:
        judged = [batch for correction in output.corrections for batch in correction.judged]
    else:
        judged = output.judged
    known = [item for items in state.tenants["t"].known.values() for item in items if item.end_ms is not None]
    closed = [f"{item.detector} {item.reason} {item.digest}".encode() for item in known]
    plain = hashlib.sha256(b"\n".join(sorted(rows_of(judged) + closed))).hexdigest()
    return combine(digest_sums(state.tenants["t"])["final"]), plain


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS)
def test_equal_rows_have_equal_digests(seed: int) -> None:
    """Late delivery with a correction gives the rows of ordered delivery, by either measure."""
    rows = fleet(seed, steps=80)
    ordered, disordered = both(rows, corrected=False), both(late(rows, seed), corrected=True)
    assert ordered[1] == disordered[1]
    assert ordered[0] == disordered[0]


@settings(max_examples=10, deadline=None)
@given(seed=SEEDS, place=st.integers(0, 200), change=st.sampled_from(["value", "ts", "device", "missing"]))
def test_one_changed_row_changes_the_digest(seed: int, place: int, change: str) -> None:
    """A value, a time, a device or a missing row shows in both measures."""
    rows = fleet(seed, steps=80)
    device, ts, values = rows[place]
    changed = {
        "value": [(device, ts, {name: value + 1e-9 for name, value in values.items()})],
        "ts": [(device, ts + 1, values)],
        "device": [("pump-9", ts, values)],
        "missing": [],
    }[change]
    altered = rows[:place] + changed + rows[place + 1 :]
    before, after = both(rows, corrected=False), both(altered, corrected=False)
    assert before[0] != after[0]
    assert before[1] != after[1]


@given(st.lists(st.integers(0, 2**128 - 1), max_size=5))
def test_sums_are_modulo_two_to_the_128(numbers: list[int]) -> None:
    """Adding and taking out again in any order leaves nothing."""
    total = sum(numbers)
    assert join(*halves(total)) == total % 2**128
    assert join(*halves(join(*halves(total)) - total)) == 0
