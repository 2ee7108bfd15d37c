"""Episodes out of findings: findings of successive dumps with one component, code and key are one episode.

Pure: however often a device's dumps are run, the same findings give the same episodes.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from tocsin.control import DumpReceived
from tocsin.dump_detectors.abstract import Finding
from tocsin.model import DumpEvidence, DumpName, Episode, Evidence, EvidenceText, Severity
from tocsin.processing.episodes import evidence_without_readings
from tocsin.processing.hashing import names_hash
from tocsin.processing.wording import duration

_RANK: Final = {Severity.INFO: 0, Severity.WARNING: 1, Severity.CRITICAL: 2}

Cause = tuple[str, str, str]
"""Component, code and key of findings: what makes them one episode."""


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """A dump that a detector has judged."""

    dump: DumpReceived
    detector: str
    version: str
    partition: int
    findings: tuple[Finding, ...]


class OpenEpisodes(msgspec.Struct, frozen=True, kw_only=True):
    """The episodes of a device and detector that have not ended, by cause."""

    episodes: tuple[tuple[Cause, Episode], ...] = ()


def pack_open(found: OpenEpisodes) -> bytes:
    """As the standing of a detector keeps them; empty for none."""
    return msgspec.msgpack.encode(found) if found.episodes else b""


def unpack_open(stored: bytes) -> OpenEpisodes:
    """What `pack_open` wrote."""
    return msgspec.msgpack.decode(stored, type=OpenEpisodes) if stored else OpenEpisodes()


@dataclass(frozen=True, slots=True)
class Folded:
    """The episodes that go on after a dump, and all that have changed by it, in the order of their ids."""

    open: OpenEpisodes
    changed: tuple[Episode, ...]


def fold(before: OpenEpisodes, judged: Judged) -> Folded:
    """Begin episodes, let those go on that the dump shows again, and end those that it does not."""
    found = _by_cause(judged.findings)
    going_on = dict(before.episodes)
    ended = [_ended(episode, judged.dump) for cause, episode in before.episodes if cause not in found]
    lasting = {
        cause: _grown(going_on.get(cause) or _begun(cause, findings, judged), findings, judged)
        for cause, findings in sorted(found.items())
    }
    changed = sorted([*ended, *lasting.values()], key=lambda episode: episode.id)
    return Folded(OpenEpisodes(episodes=tuple(lasting.items())), tuple(changed))


def _by_cause(findings: Iterable[Finding]) -> dict[Cause, list[Finding]]:
    found: dict[Cause, list[Finding]] = {}
    for finding in findings:
        found.setdefault((finding.component, finding.code, finding.key), []).append(finding)
    return found


def _begun(cause: Cause, findings: Sequence[Finding], judged: Judged) -> Episode:
    """An episode that nothing has been found of yet."""
    dump = judged.dump
    low, high = names_hash(dump.tenant, dump.device, judged.detector, *cause, f"{dump.epoch}.{dump.sequence}")
    started_ms = min(_begin_ms(finding, dump) for finding in findings)
    return Episode(
        id=f"ep_{high:016x}{low:016x}",
        tenant=dump.tenant,
        application=dump.application,
        version=dump.version,
        device=dump.device,
        parameter=cause[0],
        detector=judged.detector,
        reason=cause[1],
        severity=Severity.INFO,
        started_ms=started_ms,
        opened_ms=started_ms,
        end_ms=None,
        last_abnormal_ms=started_ms,
        peak_ms=started_ms,
        readings=0,
        value=math.nan,
        expected=math.nan,
        lower=math.nan,
        upper=math.nan,
        score=-math.inf,
        explanation="",
    )


def _grown(episode: Episode, findings: Sequence[Finding], judged: Judged) -> Episode:
    """The episode with the findings of one more dump; its sentence is that of its strongest finding.

    Nobody is told of it until a finding begins outside of all maintenance windows.
    """
    dump = judged.dump
    strongest = max(findings, key=lambda finding: (finding.score, _RANK[finding.severity]))
    peaks = strongest.score > episode.score
    before = episode.evidence.dumps if episode.evidence else None
    last_ms = max(episode.last_abnormal_ms, *(_end_ms(finding, dump) for finding in findings))
    evidence = _evidence(episode, findings, strongest if peaks else None, judged, last_ms)
    reason = strongest.reason if peaks or before is None else before.sentence
    dumps = 1 if before is None else before.count + 1
    told = [finding for finding in findings if not _silencing(finding, dump)]
    silent = not told and (before is None or bool(episode.suppressed))
    opens = bool(told) and bool(episode.suppressed)
    return msgspec.structs.replace(
        episode,
        version=dump.version,
        severity=max(episode.severity, *(finding.severity for finding in findings), key=_RANK.__getitem__),
        last_abnormal_ms=last_ms,
        peak_ms=_begin_ms(strongest, dump) if peaks else episode.peak_ms,
        readings=episode.readings + len(findings),
        score=max(episode.score, strongest.score),
        explanation=_sentence(reason, episode.parameter, dumps, last_ms - episode.started_ms, dump),
        suppressed=(episode.suppressed or _silencing(findings[0], dump)) if silent else "",
        opened_ms=min(_begin_ms(finding, dump) for finding in told) if opens else episode.opened_ms,
        evidence=evidence,
    )


def _sentence(reason: str, component: str, dumps: int, span_ms: int, dump: DumpReceived) -> str:
    where = f"{component}: " if component else ""
    if dumps == 1:
        return f"{where}{reason} (dump {_numbered(dump.epoch, dump.sequence)})"
    last = _numbered(dump.epoch, dump.sequence)
    return f"{where}{reason}; in {dumps} dumps for {duration(span_ms)}, up to dump {last}"


def _numbered(epoch: int, sequence: int) -> str:
    return f"{sequence} of epoch {epoch}" if epoch else str(sequence)


def _evidence(
    episode: Episode, findings: Sequence[Finding], peak: Finding | None, judged: Judged, last_ms: int
) -> Evidence:
    """What it rests on: the first and the last dump by name, and what the strongest finding shows."""
    dump = judged.dump
    before = episode.evidence.dumps if episode.evidence else None
    name = DumpName(epoch=dump.epoch, sequence=dump.sequence, sha256=dump.sha256)
    found = DumpEvidence(
        first=before.first if before else name,
        last=name,
        peak=name if peak or before is None else before.peak,
        count=before.count + 1 if before else 1,
        version=judged.version,
        sentence=peak.reason if peak else (before.sentence if before else ""),
        facts=peak.evidence if peak else (before.facts if before else {}),
        lines=_texts(peak) if peak else (before.lines if before else ()),
        findings_sha256=_chained(before.findings_sha256 if before else "", findings),
    )
    return evidence_without_readings(
        episode.started_ms, last_ms, partition=judged.partition, before_offset=0, dumps=found
    )


def _texts(finding: Finding) -> tuple[EvidenceText, ...]:
    return tuple(EvidenceText(line.member, line.number, line.text) for line in finding.lines)


def _chained(before: str, findings: Sequence[Finding]) -> str:
    """SHA-256 over the findings of all its dumps so far, each dump's after those before it."""
    digest = hashlib.sha256(before.encode())
    for finding in findings:
        encoded = msgspec.json.encode(finding, order="deterministic")
        digest.update(len(encoded).to_bytes(4, "little") + encoded)
    return digest.hexdigest()


def _ended(episode: Episode, dump: DumpReceived) -> Episode:
    """Over when a dump no longer shows it: where that one begins, as far as it says so."""
    from_ms = dump.collected_from_ms
    end_ms = episode.last_abnormal_ms if from_ms is None else max(from_ms, episode.last_abnormal_ms)
    return msgspec.structs.replace(episode, end_ms=end_ms)


def _begin_ms(finding: Finding, dump: DumpReceived) -> int:
    """When it began; for a detector that does not know and says 0, the dump's own span or its arrival."""
    return finding.from_ms or dump.collected_from_ms or dump.collected_to_ms or dump.received_ms


def _silencing(finding: Finding, dump: DumpReceived) -> str:
    """The maintenance window in which it began; "" for none."""
    begin_ms = _begin_ms(finding, dump)
    holding = (each for each in dump.windows if each.no_alert and each.from_ms <= begin_ms < each.until_ms)
    return next((each.window for each in holding), "")


def _end_ms(finding: Finding, dump: DumpReceived) -> int:
    return max(finding.to_ms or dump.collected_to_ms or 0, _begin_ms(finding, dump))
