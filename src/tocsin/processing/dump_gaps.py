"""The episode that names the dumps of a device that were given up, and its proof."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tocsin.control import DumpDecision, DumpReceived, GapGivenUp
from tocsin.events import Strings
from tocsin.model import Episode, Evidence, SeriesKey
from tocsin.processing.dump_order import DumpOrder, Moved
from tocsin.processing.episodes import (
    DUMP_DETECTOR,
    Draft,
    episode_without_readings,
    evidence_without_readings,
    identity,
    publish,
    seal,
)
from tocsin.processing.proof import Proof
from tocsin.processing.state import TenantState
from tocsin.processing.wording import duration

REASON: Final = "gap"
SPANS_NAMED_MAX: Final = 10
_STATE_VERSION: Final = 1


def publish_gap(
    gap: GapGivenUp, moved: Moved, tenant: TenantState, partition: int, offset: int
) -> list[Episode]:
    """The episode of a gap, if dumps are missing; the device becomes known by it if it was not."""
    if not moved.missing:
        return []
    device = int(tenant.add_devices(Strings.of([gap.device]))[0])
    row = tenant.devices.rows[device]
    if moved.ready and row["newest_ms"] < 0 and row["first_series"] < 0:
        first = moved.ready[0]
        row["stream"] = tenant.number_streams([(first.application, first.version)])[0]
    return publish([Draft(-1, device, -1, gap_episode(gap, moved, partition, offset))], tenant)


def gap_episode(gap: GapGivenUp, moved: Moved, partition: int, offset: int) -> Episode:
    """Over as soon as it is told: from the tick that found later dumps waiting to the decision.

    `offset` is that of the control record. Depends on nothing but the device's decisions about dumps.
    """
    first = moved.ready[0] if moved.ready else None
    started_ms = gap.at_ms - gap.waited_ms
    evidence = evidence_without_readings(
        started_ms, gap.at_ms, partition=partition, before_offset=offset + 1, state_version=_STATE_VERSION
    )
    cause = f"{DUMP_DETECTOR}.{REASON}"
    number = f"{gap.epoch}.{moved.missing[0][0]}"
    return episode_without_readings(
        identity(SeriesKey(gap.tenant, "", gap.device, ""), cause, number),
        SeriesKey(gap.tenant, first.application if first else "", gap.device, ""),
        version=first.version if first else "",
        cause=(DUMP_DETECTOR, REASON),
        started_ms=started_ms,
        opened_ms=gap.at_ms,
        end_ms=gap.at_ms,
        explanation=gap_sentence(gap, moved.missing),
        evidence=evidence,
    )


def gap_sentence(gap: GapGivenUp, missing: Sequence[tuple[int, int]]) -> str:
    """Which dumps are missing, and how long later ones had waited for them.

    >>> gap = GapGivenUp(tenant="t", device="d", epoch=0, from_sequence=3, to_sequence=9, waited_ms=60_000)
    >>> gap_sentence(gap, [(3, 5), (9, 9)])
    'dumps 3 to 5, 9 are missing: they had not come after 1 minute, and later ones are processed without them'
    """
    count = sum(last - first + 1 for first, last in missing)
    spans = [str(first) if first == last else f"{first} to {last}" for first, last in missing]
    named = ", ".join(spans[:SPANS_NAMED_MAX])
    if len(spans) > SPANS_NAMED_MAX:
        named += f" and more, {count} in all,"
    if gap.epoch:
        named += f" of epoch {gap.epoch}"
    head, them = (f"dump {named} is", "it") if count == 1 else (f"dumps {named} are", "them")
    they = "it" if count == 1 else "they"
    waited = duration(gap.waited_ms)
    return f"{head} missing: {they} had not come after {waited}, and later ones are processed without {them}"


def prove_gap(episode: Episode, decisions: Sequence[tuple[int, DumpDecision]]) -> Proof:
    """Derive the episode again from the device's decisions about dumps, by offset; all from the first on."""
    evidence = episode.evidence
    if evidence is None or seal(evidence) != evidence.seal:
        return Proof(False, 0, ("the evidence was altered: it does not match its seal",))
    order, dumps = DumpOrder(), 0
    for offset, decision in decisions:
        if isinstance(decision, DumpReceived):
            dumps += 1
            order.receive(decision)
            continue
        moved = order.give_up(decision)
        if offset == evidence.before_offset - 1:
            return _compared(episode, evidence, decision, moved, dumps)
    return Proof(False, dumps, ("the log holds no decision to give these dumps up",))


def _compared(episode: Episode, evidence: Evidence, gap: GapGivenUp, moved: Moved, dumps: int) -> Proof:
    if not moved.missing:
        return Proof(False, dumps, ("no dump was missing",))
    derived = gap_episode(gap, moved, evidence.partition, evidence.before_offset - 1)
    differences = [
        f"{name}: {getattr(derived, name)} was derived, {getattr(episode, name)} was published"
        for name in Episode.__struct_fields__
        if name not in {"id", "revision"} and getattr(derived, name) != getattr(episode, name)
    ]
    return Proof(not differences, dumps, tuple(differences))
