"""The operational episode that tells that a dump detector has stopped for a device, and that it goes on."""

from __future__ import annotations

import msgspec

from tocsin.commit.dump_steps import StepFailure
from tocsin.control import DumpDetectorFailed, DumpReceived
from tocsin.dump_detectors.steps import FailureKind
from tocsin.model import DumpEvidence, DumpName, Episode, Evidence, SeriesKey
from tocsin.processing.episodes import episode_without_readings, evidence_without_readings
from tocsin.processing.hashing import names_hash

DETECTOR = "dump_detectors"
REASON = "stopped"
_DETAIL_CHARACTERS = 300
_WHY = {
    FailureKind.CRASH: "its worker ended again and again",
    FailureKind.HANG: "it took longer than its limit again and again",
    FailureKind.MEMORY: "it wanted more memory than its limit again and again",
    FailureKind.ERROR: "it raised an error",
    FailureKind.REFUSED: "it was refused",
    FailureKind.ARCHIVE: "the archive can't be read",
    FailureKind.STORAGE: "the archive could not be opened or read again and again",
}


def stopped(
    failed: DumpDetectorFailed, dump: DumpReceived, at_ms: int, *, partition: int, offset: int
) -> Episode:
    """What is published when the record at `offset` of the partition is logged."""
    name = DumpName(epoch=dump.epoch, sequence=dump.sequence, sha256=dump.sha256)
    where = f"{failed.epoch}.{failed.sequence}.{offset}"
    low, high = names_hash(failed.tenant, failed.device, DETECTOR, failed.detector, where)
    why = _WHY[FailureKind(failed.kind)]
    sentence = (
        f"{failed.detector} {failed.version} has stopped at dump {failed.sequence}: {why}: "
        f"{failed.detail[:_DETAIL_CHARACTERS]}; later dumps of the device wait for its release"
    )
    return episode_without_readings(
        f"ep_{high:016x}{low:016x}",
        SeriesKey(failed.tenant, dump.application, failed.device, ""),
        version=dump.version,
        cause=(DETECTOR, REASON),
        started_ms=at_ms,
        opened_ms=at_ms,
        end_ms=None,
        explanation=sentence,
        evidence=_evidence(failed, name, at_ms, partition, offset),
    )


def _evidence(
    failed: DumpDetectorFailed, dump: DumpName, at_ms: int, partition: int, offset: int
) -> Evidence:
    """The decision, as the record just below `before_offset`."""
    found = DumpEvidence(
        first=dump,
        last=dump,
        peak=dump,
        count=1,
        version=failed.version,
        sentence=failed.detail,
        facts={"detector": failed.detector, "kind": failed.kind},
        findings_sha256="",
    )
    return evidence_without_readings(at_ms, at_ms, partition=partition, before_offset=offset + 1, dumps=found)


def goes_on(episode: Episode, failure: StepFailure, version: str, at_ms: int) -> Episode:
    """The same once the device is released or another version is in force."""
    end_ms = max(at_ms, episode.started_ms)
    sentence = f"stopped at dump {failure.sequence}, and goes on with version {version}"
    return msgspec.structs.replace(episode, end_ms=end_ms, last_abnormal_ms=end_ms, explanation=sentence)
