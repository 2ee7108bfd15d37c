"""The checks for other teams' detectors pass a good one and catch each way of being bad."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping

import pytest

from tocsin.dump_detectors.abstract import Device, Dump, DumpDetector, Finding
from tocsin.dump_detectors.conformance import CHECKS, check, made_samples
from tocsin.dump_detectors.registry import dump_detector
from tocsin.model import Severity


class Warnings(DumpDetector):
    """Finds dumps with more warnings than the one before."""

    name = "warnings"
    version = "1"

    def setup(self, config: Mapping[str, object]) -> None:
        if config:
            raise ValueError(f"no such key: {', '.join(config)}")

    def start(self, device: Device) -> None:
        self.before = 0
        self.seen: list[int] = []

    def process(self, dump: Dump) -> Iterator[Finding]:
        count = sum(" WARN " in line.text for member in dump.members() for line in member.lines())
        if count > self.before:
            yield self.found(count)
        self.before = count

    def found(self, count: int) -> Finding:
        reason = f"{count} warnings, {self.before} before"
        return Finding(
            component="", code="more", severity=Severity.INFO, score=1.5, from_ms=0, to_ms=1, reason=reason
        )

    def save(self) -> bytes:
        return json.dumps([self.before, self.seen]).encode()

    def load(self, state: bytes, version: str) -> None:
        self.before, self.seen = json.loads(state)


def test_a_good_detector_passes() -> None:
    """All checks, on the samples that Tocsin makes."""
    check(Warnings, made_samples())


class _Unsaved(Warnings):
    """Learns something that it does not save."""

    def load(self, state: bytes, version: str) -> None:
        super().load(state, version)
        self.before = 10**6


class _Random(Warnings):
    def process(self, dump: Dump) -> Iterator[Finding]:
        yield self.found(random.getrandbits(60))


class _Growing(Warnings):
    def process(self, dump: Dump) -> Iterator[Finding]:
        self.seen.append(dump.sequence)
        yield from super().process(dump)


class _Shared(Warnings):
    everybody: tuple[str, ...] = ()

    def start(self, device: Device) -> None:
        super().start(device)
        self.device = device
        _Shared.everybody = ()

    def process(self, dump: Dump) -> Iterator[Finding]:
        _Shared.everybody = (*_Shared.everybody, self.device.device)
        yield self.found(len(set(_Shared.everybody)))


class _Saving(Warnings):
    def save(self) -> bytes:
        self.before += 1
        return super().save()


class _Ordered(Warnings):
    def process(self, dump: Dump) -> Iterator[Finding]:
        if self.before and dump.sequence != self.before + 1:
            raise RuntimeError("a dump is missing")
        self.before = dump.sequence
        return iter(())


class _Careless(Warnings):
    def setup(self, config: Mapping[str, object]) -> None:
        pass


class _Trusting(Warnings):
    def load(self, state: bytes, version: str) -> None:
        try:
            super().load(state, version)
        except ValueError:
            self.before = 0


@pytest.mark.parametrize(
    ("kind", "name", "words"),
    [
        (_Unsaved, "saving", "going on from saved bytes gives other"),
        (_Random, "determinism", "a second run gives other findings"),
        (_Growing, "growth", "grows without bound"),
        (_Shared, "neighbours", "with another device beside it"),
        (_Saving, "repeated saving", "saving twice gives other bytes"),
        (_Ordered, "order", "a dump is missing"),
        (_Careless, "declaration", "takes an unknown key"),
        (_Trusting, "foreign state", "load takes bytes that save never gave"),
    ],
)
def test_a_bad_detector_is_caught(kind: type[DumpDetector], name: str, words: str) -> None:
    """By the check that is made for it, in words that say what to mend."""
    with pytest.raises((AssertionError, RuntimeError), match=words):
        CHECKS[name](kind, made_samples(), {})


def test_tocsins_own_detector_keeps_what_others_must_keep() -> None:
    """All checks, on the same samples."""
    check(dump_detector("logs"), made_samples(8))
