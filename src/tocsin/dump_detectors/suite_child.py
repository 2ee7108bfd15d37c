"""The process in which checks run: `python -m tocsin.dump_detectors.suite_child`, a SuiteOrder on stdin.

Its standard output is the suite's alone; whatever the detector prints goes nowhere.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
import traceback
from pathlib import Path
from typing import Final

import msgspec

from tocsin.dump_detectors.abstract import DumpDetector
from tocsin.dump_detectors.conformance import CHECKS, Sample, outcomes
from tocsin.dump_detectors.registry import dump_detector
from tocsin.dump_detectors.suite_words import CheckResult, SuiteOrder, SuiteWord
from tocsin.dumps.source import BytesSource
from tocsin.errors import TocsinError

_OURS: Final = str(Path(__file__).parent)
_DETAIL_CHARACTERS: Final = 1000


def main() -> None:
    """Do what is ordered, a line for each check."""
    channel = os.dup(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=SuiteOrder)
    try:
        kind = dump_detector(order.detector)
    except TocsinError as error:
        _say(channel, SuiteWord(result=CheckResult(check="import", held=False, detail=error.detail)))
        return
    samples = [Sample(each.facts, BytesSource(Path(each.archive).read_bytes())) for each in order.samples]
    if order.digests:
        _say(channel, _digests(kind, samples, order))
        return
    for name in CHECKS:
        _say(channel, SuiteWord(begins=name))
        _say(channel, SuiteWord(result=_checked(name, kind, samples, order)))


def _say(channel: int, word: SuiteWord) -> None:
    os.write(channel, msgspec.json.encode(word) + b"\n")


def _digests(kind: type[DumpDetector], samples: list[Sample], order: SuiteOrder) -> SuiteWord:
    try:
        given = outcomes(kind, samples, order.config)
    except Exception as error:  # noqa: BLE001 - whatever another team's code raises
        return SuiteWord(result=_failed("processes", error, 0.0))
    return SuiteWord(
        digests=tuple(hashlib.sha256(each.findings + b"\0" + each.state).hexdigest() for each in given)
    )


def _checked(name: str, kind: type[DumpDetector], samples: list[Sample], order: SuiteOrder) -> CheckResult:
    began_s = time.perf_counter()
    try:
        CHECKS[name](kind, samples, order.config)
    except Exception as error:  # noqa: BLE001 - the same
        return _failed(name, error, time.perf_counter() - began_s)
    return CheckResult(check=name, held=True, seconds=time.perf_counter() - began_s)


def _failed(name: str, error: Exception, seconds: float) -> CheckResult:
    detail = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
    return CheckResult(
        check=name, held=False, detail=detail[:_DETAIL_CHARACTERS], where=_where(error), seconds=seconds
    )


def _where(error: Exception) -> str:
    """The innermost line that is not Tocsin's own."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith(_OURS)]
    return f"{frames[-1].filename}:{frames[-1].lineno} in {frames[-1].name}" if frames else ""


if __name__ == "__main__":
    main()
