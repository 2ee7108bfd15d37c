"""One step in this process: a dump is shown, findings and state are taken and measured."""

from __future__ import annotations

import hashlib
import resource
import time
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

import msgspec

from tocsin.dump_detectors.abstract import Dump, DumpDetector, Finding
from tocsin.dump_detectors.instances import Instances, StepError
from tocsin.dump_detectors.limits import StepLimits
from tocsin.dump_detectors.reading import ArchiveDump
from tocsin.dump_detectors.steps import FailureKind, StepDone, StepFailed, Task
from tocsin.dumps.archive import Archive
from tocsin.dumps.faults import ArchiveError
from tocsin.dumps.source import FileSource
from tocsin.errors import InvalidInputError, TocsinError
from tocsin.templates.dictionary import Dictionary, parse_dictionary

_DETAIL_CHARACTERS: Final = 1000
_NOTE_CHARACTERS: Final = 200


def step(task: Task, instances: Instances, limits: StepLimits) -> StepDone | StepFailed:
    """Show the dump; whatever the detector raises becomes a failure. Blocks as long as it takes."""
    began_s, cpu_began_s = time.perf_counter(), _cpu_s()
    try:
        instance = instances.take(task)
        findings = _shown(task, instance, limits)
        state, note = saved(instance, limits), _noted(instance)
    except BaseException as error:  # noqa: BLE001 - foreign code; even sys.exit must end in an answer
        return _failed(error, time.perf_counter() - began_s)
    instances.keep(task, instance, state)
    return StepDone(
        findings=findings,
        state=state,
        state_version=instance.version,
        state_sha256=hashlib.sha256(state).hexdigest(),
        cpu_s=_cpu_s() - cpu_began_s,
        wall_s=time.perf_counter() - began_s,
        note=note,
    )


def _noted(instance: DumpDetector) -> str:
    note: object = instance.note()
    if not isinstance(note, str):
        raise StepError(FailureKind.ERROR, f"note gave {type(note).__name__}, not a text")
    return note[:_NOTE_CHARACTERS].encode("utf-8", "replace").decode()


def _shown(task: Task, instance: DumpDetector, limits: StepLimits) -> tuple[Finding, ...]:
    try:
        source = FileSource(task.archive)
    except OSError as error:
        raise _unread(error) from error
    with source:
        try:
            dump = ArchiveDump(task.dump, Archive(source), _dictionary(task))
        except (ArchiveError, OSError) as error:
            raise _unread(error) from error
        try:
            return judged(instance, dump, limits)
        finally:
            if dump.fault is not None:
                raise _unread(dump.fault)


def _dictionary(task: Task) -> Dictionary | None:
    if task.dictionary is None:
        return None
    try:
        return _read_dictionary(task.dictionary, task.dump.dictionary)
    except InvalidInputError as error:
        raise StepError(FailureKind.ARCHIVE, error.detail) from error


@lru_cache(maxsize=8)
def _read_dictionary(path: Path, sha256: str) -> Dictionary:
    """Read once for all dumps that are judged by it: its name says what is in it."""
    raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != sha256:
        raise InvalidInputError(f"the dictionary {sha256} is damaged")
    return parse_dictionary(raw, f"the dictionary {sha256}")


def _unread(error: Exception) -> StepError:
    """Why the dump could not be read: what it is stays, what the machine lacks for a moment may go away."""
    passing = isinstance(error, OSError) and not isinstance(error, FileNotFoundError)
    return StepError(
        FailureKind.STORAGE if passing else FailureKind.ARCHIVE, f"the blob can't be read: {error}"
    )


def judged(instance: DumpDetector, dump: Dump, limits: StepLimits) -> tuple[Finding, ...]:
    """What the detector finds in the dump; StepError for what is no finding or too much."""
    given: object = instance.process(dump)
    if not isinstance(given, Iterable):
        raise StepError(FailureKind.ERROR, f"process gave {type(given).__name__}, not findings")
    findings: list[Finding] = []
    size_bytes = 0
    for finding in given:
        size_bytes += len(_checked(finding))
        findings.append(finding)
        if len(findings) > limits.findings_max or size_bytes > limits.findings_bytes_max:
            raise StepError(
                FailureKind.ERROR,
                f"more than {limits.findings_max} findings or {limits.findings_bytes_max} bytes of them",
            )
    return tuple(findings)


def _checked(finding: object) -> bytes:
    """The finding as canonical JSON, its types proved by reading them back."""
    if type(finding) is not Finding:
        raise StepError(FailureKind.ERROR, f"process gave {type(finding).__name__}, not a Finding")
    try:
        encoded = msgspec.json.encode(finding, order="deterministic")
        same = msgspec.json.decode(encoded, type=Finding)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise StepError(FailureKind.ERROR, f"a finding is no valid one: {error}") from error
    if same.score != finding.score:
        raise StepError(FailureKind.ERROR, f"the score of a finding is {finding.score}, not a number")
    return encoded


def saved(instance: DumpDetector, limits: StepLimits) -> bytes:
    """The state; StepError for what is no bytes or too many."""
    state: object = instance.save()
    if not isinstance(state, bytes):
        raise StepError(FailureKind.ERROR, f"save gave {type(state).__name__}, not bytes")
    if len(state) > limits.state_bytes_max:
        detail = f"the state has {len(state)} bytes, more than {limits.state_bytes_max}"
        raise StepError(FailureKind.ERROR, detail)
    return state


def _failed(error: BaseException, wall_s: float) -> StepFailed:
    kind, detail = FailureKind.ERROR, f"{type(error).__name__}: {error}{_place(error)}"
    if isinstance(error, StepError):
        kind, detail = error.kind, str(error)
    elif isinstance(error, MemoryError):
        kind, detail = FailureKind.MEMORY, f"the step wanted more memory than its limit{_place(error)}"
    elif isinstance(error, TocsinError):
        kind, detail = FailureKind.REFUSED, error.detail
    return StepFailed(kind=kind, detail=detail[:_DETAIL_CHARACTERS], wall_s=wall_s)


def _place(error: BaseException) -> str:
    """Where it was raised: the innermost line."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f" ({trace.tb_frame.f_code.co_filename}:{trace.tb_lineno})"


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
