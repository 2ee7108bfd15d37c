"""An episode with evidence and a dump that is free to be judged, as stores of commits keep them."""

from __future__ import annotations

import msgspec

from tocsin.commit.abstract import DumpKind, FreedDump
from tocsin.control import DumpOutcome, DumpReceived
from tocsin.model import Episode, Evidence, Severity

EVIDENCE = Evidence(
    from_ms=900,
    to_ms=2_000,
    partition=0,
    before_offset=17,
    sorted_below=0,
    state=b"the state before",
    state_version=1,
    cells=((900, b"cell"),),
    settings=((0, b"{}"),),
    rows_digest="0" * 32,
)

EPISODE = Episode(
    id="e1",
    tenant="acme",
    application="pumps",
    version="1.0",
    device="pump-7",
    parameter="temperature",
    detector="seasonal",
    reason="above",
    severity=Severity.WARNING,
    started_ms=1_000,
    opened_ms=1_300,
    end_ms=None,
    last_abnormal_ms=1_400,
    peak_ms=1_300,
    readings=4,
    value=93.2,
    expected=70.0,
    lower=60.0,
    upper=81.1,
    score=2.1,
    explanation="temperature 93.2 °C is 12.1 °C above the 81.1 °C limit",
    evidence=EVIDENCE,
)


def episode(**changes: object) -> Episode:
    """The episode with other fields."""
    return msgspec.structs.replace(EPISODE, **changes)


def freed(sequence: int = 1, kind: DumpKind = DumpKind.READY) -> FreedDump:
    """A dump that its order has set free."""
    dump = DumpReceived(
        tenant="acme",
        device="press-3",
        sequence=sequence,
        sha256=f"{sequence:064x}",
        size_bytes=1_000 + sequence,
        outcome=DumpOutcome.ACCEPTED,
        collected_from_ms=1_000,
    )
    return FreedDump(kind, dump)


def plain(found: Episode) -> Episode:
    """The episode as lists give it."""
    return msgspec.structs.replace(found, evidence=None)
