"""Runs every check on a detector in processes of their own, and says what to do about what does not hold."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import msgspec

from tocsin.client import DumpFile
from tocsin.dump_detectors.folder import facts_of
from tocsin.dump_detectors.pool import WorkerPool
from tocsin.dump_detectors.steps import StepFailed, Task
from tocsin.dump_detectors.suite_process import SuiteProcess
from tocsin.dump_detectors.suite_words import CheckResult, SuiteOrder, SuiteSample, SuiteWord

_REMEDIES: Final = {
    "import": "mend what is raised when the module is imported, or how the class is announced",
    "declaration": "give the class a `name` equal to its entry point and a `version`, and let `setup` raise "
    "a ValueError that names a key it does not know",
    "determinism": "use no clock, no randomness without a fixed seed and no order of sets",
    "saving": "save all that `process` and `save` read later, and restore all of it in `load`",
    "repeated saving": "let `save` change nothing, and let `load` take over numbers exactly: bytes or repr, "
    "never rounded",
    "neighbours": "keep what is learnt in `self`, never in the class or module",
    "order": "take sequence numbers as they come: dumps may have been given up, and an epoch starts anew",
    "growth": "bound each table and window that grows with dumps, and drop what was seen longest ago",
    "foreign state": "begin the saved bytes with a mark of your own, and check it and the length in `load`; "
    "raise UnknownVersionError in `migrate` for a version that it does not know",
    "processes": "use no `hash()` of texts, no order of sets and no number of threads in what is learnt",
    "worker": "keep within the limits of a worker: time, memory, open and written files, no network, no "
    "output; see the reason",
}


def samples_of(dumps: Sequence[DumpFile]) -> list[SuiteSample]:
    """Dumps of one device, ready to be shown to all processes."""
    return [SuiteSample(archive=str(dump.path), facts=facts_of(dump)) for dump in dumps]


def run_suite(order: SuiteOrder, within_s: float) -> Iterator[CheckResult]:
    """Each check once it has ended. A child that dies or takes longer than `within_s` fails its check."""
    importable = True
    for result in _checks(order, within_s):
        importable = importable and result.check != "import"
        yield result
    if importable:
        yield _in_processes(order, within_s)
        yield _in_worker(order)


def _checks(order: SuiteOrder, within_s: float) -> Iterator[CheckResult]:
    under_way = "import"
    with SuiteProcess(order, seed=0, threads=1) as child:
        for word in child.words(within_s):
            if word.result is not None:
                yield msgspec.structs.replace(word.result, remedy=_remedy(word.result))
            under_way = word.begins
        if why := child.end():
            yield _failed(under_way or "import", why)


def _in_processes(order: SuiteOrder, within_s: float) -> CheckResult:
    began_s = time.perf_counter()
    digests = []
    for seed, threads in ((0, 1), (1, 2), (12345, 1)):
        with SuiteProcess(msgspec.structs.replace(order, digests=True), seed=seed, threads=threads) as child:
            given = list(child.words(within_s))
            if (why := child.end()) or not given or not given[-1].digests:
                return _failed("processes", why or _told(given), began_s)
            digests.append(given[-1].digests)
    for number, row in enumerate(zip(*digests, strict=True), 1):
        if len(set(row)) > 1:
            return _failed(
                "processes", f"another process gives something else at the {number}. dump", began_s
            )
    return CheckResult(check="processes", held=True, seconds=time.perf_counter() - began_s)


def _told(words: Sequence[SuiteWord]) -> str:
    failed = [word.result for word in words if word.result is not None]
    return failed[-1].detail if failed else "the process gave no hashes"


def _in_worker(order: SuiteOrder) -> CheckResult:
    """All samples in a real worker, where limits hold and the network is away."""
    began_s = time.perf_counter()
    state: bytes | None = None
    version = ""
    with WorkerPool(1) as pool:
        for number, sample in enumerate(order.samples, 1):
            task = Task(
                tenant="conformance", device="device-1", detector=order.detector, config=order.config,
                archive=Path(sample.archive), dump=sample.facts, state=state, state_version=version,
            )  # fmt: skip
            result = pool.run(task).result()
            if isinstance(result, StepFailed):
                return _failed("worker", f"{result.kind} at the {number}. dump: {result.detail}", began_s)
            state, version = result.state, result.state_version
    return CheckResult(check="worker", held=True, seconds=time.perf_counter() - began_s)


def _failed(check: str, detail: str, began_s: float | None = None) -> CheckResult:
    seconds = 0.0 if began_s is None else time.perf_counter() - began_s
    return CheckResult(check=check, held=False, detail=detail, remedy=_REMEDIES[check], seconds=seconds)


def _remedy(result: CheckResult) -> str:
    return "" if result.held else _REMEDIES[result.check]
