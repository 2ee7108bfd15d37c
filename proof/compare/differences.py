"""Where the product and the model differ; an empty list is what is wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from proof.compare import plain
from proof.model import Expected
from proof.model.dumps import Number
from proof.model.episodes import Episode
from proof.model.feedback import Said
from proof.model.run import Heard, Place
from proof.model.verdicts import Verdict
from tocsin.model import SeriesKey
from tocsin.processing.hashing import combine
from tocsin.processing.processor import Output
from tocsin.processing.state import PartitionState, digest_sums

SHOWN_MAX = 5

Whose = tuple[str, str]
"""Tenant and device."""


@dataclass(slots=True)
class Found:
    """What the product made of a log, gathered output by output."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    statuses: dict[Place, str] = field(default_factory=dict)
    verdicts: dict[tuple[Place, str], Verdict] = field(default_factory=dict)
    final: dict[tuple[Place, str], Verdict] = field(default_factory=dict)
    episodes: list[Episode] = field(default_factory=list)
    digests: dict[str, str] = field(default_factory=dict)
    ready: dict[Whose, list[Number]] = field(default_factory=dict)
    after_gap: dict[Whose, list[Number]] = field(default_factory=dict)
    said: dict[Heard, list[Said]] = field(default_factory=dict)
    pending: int = 0

    def take(self, partition: int, output: Output) -> None:
        """Add what came of some records of a partition."""
        for judged in output.judged:
            for offset, name, status in plain.statuses(judged):
                self.statuses[partition, offset, name] = status
            for verdict in plain.verdicts(judged):
                place = (partition, verdict.offset, verdict.key.parameter), verdict.detector
                self.verdicts[place] = self.final[place] = verdict
        for correction in output.corrections:
            for judged in correction.judged:
                for verdict in plain.verdicts(judged):
                    self.final[(partition, verdict.offset, verdict.key.parameter), verdict.detector] = verdict
        self.episodes += map(plain.episode, output.episodes)
        for moved in output.dumps:
            for numbers, freed in ((self.ready, moved.ready), (self.after_gap, moved.after_gap)):
                for dump in freed:
                    numbers.setdefault((dump.tenant, dump.device), []).append((dump.epoch, dump.sequence))

    def close(self, states: Sequence[PartitionState]) -> None:
        """Add counts and digests as the last records have left them."""
        sums: dict[str, list[tuple[SeriesKey, int]]] = {"raw": [], "scored": [], "final": []}
        for state in states:
            self.pending += state.pending_corrections
            self.said.update(plain.said(state))
            for tenant in state.tenants.values():
                self.counts.setdefault(tenant.tenant, Counter()).update(tenant.counts)
                for name, found in digest_sums(tenant).items():
                    sums[name] += found
        self.digests = {name: combine(found) for name, found in sums.items()}


def differences(model: Expected, found: Found) -> list[str]:
    """Every kind of difference, with its first few examples."""
    lines = [
        *apart("counts", _terms(model.counts), _terms(found.counts)),
        *apart("status", model.statuses, found.statuses),
        *apart("verdict", model.verdicts, found.verdicts),
        *apart("final verdict", model.final, found.final),
        *apart("episode", dict(enumerate(model.episodes)), dict(enumerate(found.episodes))),
        *apart("ready dumps", _dumps(model, "ready"), found.ready),
        *apart("dumps after a gap", _dumps(model, "after_gap"), found.after_gap),
        *(f"given up too early: {gap}" for dumps in model.dumps.values() for gap in dumps.early),
        *apart("feedback", model.said, found.said),
        *apart("digest", model.digests, found.digests),
    ]
    if model.pending != found.pending:
        lines.append(f"pending: {model.pending} expected, {found.pending} found")
    return lines


def _dumps(model: Expected, place: str) -> dict[Whose, list[Number]]:
    found = {whose: getattr(dumps.order, place) for whose, dumps in model.dumps.items()}
    return {whose: numbers for whose, numbers in found.items() if numbers}


def _terms(counts: dict[str, Counter[str]]) -> dict[tuple[str, str], int]:
    return {(tenant, name): number for tenant in counts for name, number in counts[tenant].items() if number}


def apart(kind: str, expected: Mapping[Any, object], found: Mapping[Any, object]) -> Iterator[str]:
    """Values that differ: in any bit of a number too, but NaN is taken as equal to NaN."""
    keys = [key for key in {**expected, **found} if not _alike(expected.get(key), found.get(key))]
    for key in keys[:SHOWN_MAX]:
        yield f"{kind} {key}: {expected.get(key)} expected, {found.get(key)} found"
    if len(keys) > SHOWN_MAX:
        yield f"{kind}: {len(keys)} differ in all"


def _alike(one: object, other: object) -> bool:
    """By their bytes, which are quicker had than texts; these do not tell one NaN from another."""
    return _bytes_of(one) == _bytes_of(other) or repr(one) == repr(other)


_bytes_of = msgspec.msgpack.Encoder().encode
