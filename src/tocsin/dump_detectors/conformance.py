"""What every dump detector must keep, as functions that raise AssertionError: for your own tests too.

`check(kind, samples)` runs all of them. Samples are dumps of one device in order: your own, or those of
`made_samples`, which hold what devices really send: empty logs, bytes that are no text, lines without end.
"""

from __future__ import annotations

import gc
import hashlib
import io
import random
import tracemalloc
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from tocsin.dump_detectors.abstract import Device, DumpDetector, Finding, UnknownVersionError
from tocsin.dump_detectors.limits import StepLimits
from tocsin.dump_detectors.reading import ArchiveDump
from tocsin.dump_detectors.registry import check_words
from tocsin.dump_detectors.stepping import judged, saved
from tocsin.dump_detectors.steps import DumpFacts
from tocsin.dumps.archive import Archive
from tocsin.dumps.source import BytesSource, Source

_DEVICE: Final = Device(tenant="conformance", device="device-1")
_OTHER: Final = Device(tenant="conformance", device="device-2")
_REPEATED: Final = 256  # dumps; a window of the last hundred is full at half of them
_SPARE_BYTES: Final = 128  # counters get a digit more
_SPARE_MEMORY_BYTES: Final = 256 << 10  # caches of compiled patterns and the like
_FINDINGS: Final = msgspec.json.Decoder(tuple[Finding, ...])
_START_MS: Final = 1_790_000_000_000
_PERIOD_MS: Final = 1_800_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One dump: what is said of it, and its archive."""

    facts: DumpFacts
    source: Source


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one step gave, as bytes that can be compared."""

    findings: bytes
    state: bytes


def check(
    kind: type[DumpDetector], samples: Sequence[Sample], config: Mapping[str, Any] | None = None
) -> None:
    """All checks; about as long as showing 600 dumps takes, and twice that with many small lines."""
    for one in CHECKS.values():
        one(kind, samples, config or {})


def check_declaration(kind: type[DumpDetector], samples: Sequence[Sample], config: Mapping[str, Any]) -> None:
    """Its name and version can be used, and a mistyped configuration is refused with a ValueError."""
    del samples
    check_words(kind)
    refusal = ""
    try:
        kind().setup({**config, "no such key": 1})
    except ValueError as error:
        refusal = str(error)
    assert "no such key" in refusal, "setup takes an unknown key, or its ValueError does not name it"


def check_determinism(kind: type[DumpDetector], samples: Sequence[Sample], config: Mapping[str, Any]) -> None:
    """Equal dumps give equal findings and equal bytes."""
    _equal(outcomes(kind, samples, config), outcomes(kind, samples, config), "a second run gives")


def check_saving(kind: type[DumpDetector], samples: Sequence[Sample], config: Mapping[str, Any]) -> None:
    """Whoever goes on from the saved bytes before any dump finds and saves the same."""
    expected = outcomes(kind, samples, config)
    state: bytes | None = None
    resumed = []
    for sample in samples:
        outcome = _shown(_instance(kind, config, state), sample)
        resumed.append(outcome)
        state = outcome.state
    _equal(expected, resumed, "going on from saved bytes gives")


def check_repeated_saving(
    kind: type[DumpDetector], samples: Sequence[Sample], config: Mapping[str, Any]
) -> None:
    """Saving changes nothing: twice in a row gives the same bytes, so does loading and saving."""
    instance = _instance(kind, config)
    for sample in samples:
        state = _shown(instance, sample).state
        assert saved(instance, StepLimits()) == state, "saving twice gives other bytes"
        again = saved(_instance(kind, config, state), StepLimits())
        assert again == state, f"loading and saving gives other bytes after dump {sample.facts.sequence}"


def check_neighbours(kind: type[DumpDetector], samples: Sequence[Sample], config: Mapping[str, Any]) -> None:
    """Another device's dumps in between change nothing: no state outside the instance."""
    expected = outcomes(kind, samples, config)
    instance, other = _instance(kind, config), _instance(kind, config, device=_OTHER)
    mixed = []
    for sample, foreign in zip(samples, reversed(samples), strict=True):
        _shown(other, foreign)
        mixed.append(_shown(instance, sample))
    _equal(expected, mixed, "with another device beside it, it gives")


def check_order(kind: type[DumpDetector], samples: Sequence[Sample], config: Mapping[str, Any]) -> None:
    """Gaps in the sequence and a new epoch are no errors: a dump that never came was given up."""
    instance = _instance(kind, config)
    for number, sample in enumerate(samples):
        facts = msgspec.structs.replace(sample.facts, epoch=number // 3, sequence=1 + 7 * (number % 3))
        _shown(instance, Sample(facts, sample.source))


def check_growth(kind: type[DumpDetector], samples: Sequence[Sample], config: Mapping[str, Any]) -> None:
    """Dumps that hold nothing new make neither the state nor the memory larger, however many come."""
    rounds = max(_REPEATED // len(samples), 2)
    half = rounds // 2 * len(samples)
    gc.collect()
    tracemalloc.start()
    try:
        instance = _instance(kind, config)
        sizes, memory = [], []
        for number, sample in enumerate(_repeated(samples, rounds), 1):
            sizes.append(len(_shown(instance, sample).state))
            if number in {half, rounds * len(samples)}:
                gc.collect()
                memory.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    _not_larger("the state", (max(sizes[:half]), sizes[-1]), _SPARE_BYTES, (half, len(sizes)))
    _not_larger("memory", (memory[0], memory[1]), _SPARE_MEMORY_BYTES, (half, len(sizes)))


def _not_larger(what: str, found: tuple[int, int], spare_bytes: int, dumps: tuple[int, int]) -> None:
    assert found[1] <= found[0] * 1.1 + spare_bytes, (
        f"{what} grows without bound: {found[0]} bytes after {dumps[0]} dumps, {found[1]} after {dumps[1]}"
    )


def check_foreign_state(
    kind: type[DumpDetector], samples: Sequence[Sample], config: Mapping[str, Any]
) -> None:
    """Bytes that it can't have saved are a ValueError; of a version unheard of it says that it can't tell."""
    del samples
    try:
        _instance(kind, config, b"\xffno state of any detector\x00")
    except ValueError:
        pass
    else:
        raise AssertionError("load takes bytes that save never gave")
    try:
        _instance(kind, config).migrate(b"", "unheard-of")
    except UnknownVersionError:
        return
    raise AssertionError("migrate takes a version that never was: raise UnknownVersionError")


CHECKS: Final = {
    "declaration": check_declaration,
    "determinism": check_determinism,
    "saving": check_saving,
    "repeated saving": check_repeated_saving,
    "neighbours": check_neighbours,
    "order": check_order,
    "growth": check_growth,
    "foreign state": check_foreign_state,
}
"""By name, in the order in which they are worth mending."""


def made_samples(count: int = 16, seed: int = 1) -> list[Sample]:
    """Dumps of two components with a few faults, and among them what no one would expect in a log."""
    rng = random.Random(seed)
    samples = []
    for number in range(count):
        start_ms = _START_MS + number * _PERIOD_MS
        members = {"engine/engine.log": _log(rng, start_ms), "door.log": _log(rng, start_ms)}
        if number % 4 == 3:
            members |= {"empty.log": b"", "core.bin": rng.randbytes(5000), "long.log": b"x" * 600_000}
        samples.append(made_sample(number + 1, members, start_ms, start_ms + _PERIOD_MS))
    return samples


def made_sample(
    sequence: int, members: Mapping[str, bytes], from_ms: int | None = None, to_ms: int | None = None
) -> Sample:
    """A dump with these files, collected in that time: for tests of what a detector finds."""
    archive = _zipped(members)
    facts = DumpFacts(
        sequence=sequence,
        sha256=hashlib.sha256(archive).hexdigest(),
        collected_from_ms=from_ms,
        collected_to_ms=to_ms,
        application="conformance",
        version="1.0",
    )
    return Sample(facts, BytesSource(archive))


def shown(
    kind: type[DumpDetector], samples: Iterable[Sample], config: Mapping[str, Any] | None = None
) -> list[tuple[Finding, ...]]:
    """What the detector finds in each, shown in order to one instance."""
    given = outcomes(kind, samples, config or {})
    return [_FINDINGS.decode(each.findings) for each in given]


def _log(rng: random.Random, start_ms: int) -> bytes:
    stamps = (start_ms + n * 9000 for n in range(200))
    rows = (
        f"{_rfc3339(stamp)} {rng.choice(('INFO', 'INFO', 'WARN'))} valve {rng.randrange(8)} "
        f"moved in {rng.gauss(12, 1):.2f} ms, pressure={rng.gauss(3, 0.1):.3f}"
        for stamp in stamps
    )
    return "\n".join(rows).encode()


def _rfc3339(stamp_ms: int) -> str:
    return datetime.fromtimestamp(stamp_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _zipped(members: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            # a fixed time, or the archive's hash would change from run to run
            archive.writestr(zipfile.ZipInfo(name), data, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _instance(
    kind: type[DumpDetector],
    config: Mapping[str, Any],
    state: bytes | None = None,
    device: Device = _DEVICE,
) -> DumpDetector:
    instance = kind()
    instance.setup(config)
    instance.start(device)
    if state is not None:
        instance.load(state, kind.version)
    return instance


def _shown(instance: DumpDetector, sample: Sample) -> Outcome:
    findings = judged(instance, ArchiveDump(sample.facts, Archive(sample.source)), StepLimits())
    return Outcome(msgspec.json.encode(findings, order="deterministic"), saved(instance, StepLimits()))


def outcomes(kind: type[DumpDetector], samples: Iterable[Sample], config: Mapping[str, Any]) -> list[Outcome]:
    """What it gives for each, shown in order to one instance."""
    instance = _instance(kind, config)
    return [_shown(instance, sample) for sample in samples]


def _repeated(samples: Sequence[Sample], rounds: int) -> Iterator[Sample]:
    for number in range(rounds):
        for place, sample in enumerate(samples):
            facts = msgspec.structs.replace(sample.facts, sequence=number * len(samples) + place + 1)
            yield Sample(facts, sample.source)


def _equal(expected: Sequence[Outcome], found: Sequence[Outcome], what: str) -> None:
    for number, (one, other) in enumerate(zip(expected, found, strict=True), 1):
        both = f"{one.findings.decode()}\n{other.findings.decode()}"
        assert one.findings == other.findings, f"{what} other findings at the {number}. dump:\n{both}"
        assert one.state == other.state, f"{what} another state after the {number}. dump"
