"""What the suite and the processes in which its checks run say to each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tocsin.dump_detectors.steps import DumpFacts


class CheckResult(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one check. `where` is the line of the detector that raised, if one did."""

    check: str
    held: bool
    detail: str = ""
    where: str = ""
    remedy: str = ""
    seconds: float = 0.0


class SuiteSample(msgspec.Struct, frozen=True, kw_only=True):
    """A dump as a file, and what is said of it."""

    archive: str
    facts: DumpFacts


class SuiteOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a child is told to do; with `digests` it shows the samples once and gives their hashes."""

    detector: str
    config: Mapping[str, Any]
    samples: Sequence[SuiteSample]
    digests: bool = False


class SuiteWord(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a child's output: a check begins, a check has ended, or the hashes of all samples."""

    begins: str = ""
    result: CheckResult | None = None
    digests: tuple[str, ...] = ()
