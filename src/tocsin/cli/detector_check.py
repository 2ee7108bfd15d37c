"""`tocsin detector test`"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tocsin.cli.detector_options import DetectorConfig, DetectorName, Devices, detector_config
from tocsin.cli.output import Exit, JsonFlag, counted, finish, note, progress

if TYPE_CHECKING:
    from tocsin.client import DumpFile
    from tocsin.dump_detectors.suite_words import CheckResult, SuiteSample

_DUMPS_MAX: Final = 96
_BYTES_MAX: Final = 128 << 20


def check(
    name: DetectorName,
    dumps: Annotated[
        Path | None, typer.Option(help="Folder with DEVICE/SEQUENCE.zip; without it, dumps are made.")
    ] = None,
    device: Devices = None,
    config: DetectorConfig = None,
    within_s: Annotated[float, typer.Option(help="Seconds that one check may take.")] = 300.0,
    json: JsonFlag = False,
) -> None:
    """Check whether a detector of dumps keeps what the server relies on.

    Shows it dumps of one device, made ones or the first of a folder, in several ways and processes, and
    says what does not hold, where, and what to do about it. The exit code is 1 if anything does not hold.
    """
    from tocsin.dump_detectors.registry import require_known
    from tocsin.dump_detectors.source_tree import announced
    from tocsin.dump_detectors.suite import run_suite
    from tocsin.dump_detectors.suite_words import SuiteOrder
    from tocsin.observability.logging import configure_logging

    configure_logging("warning", "console")
    settings = detector_config(config)
    with announced(name) as known, tempfile.TemporaryDirectory(prefix="tocsin-samples-") as made:
        require_known(known)
        samples = _made(Path(made)) if dumps is None else _found(dumps, device or [])
        results = []
        with progress("checking", None) as advance:
            for result in run_suite(SuiteOrder(detector=known, config=settings, samples=samples), within_s):
                results.append(result)
                advance(1)
    failed = [each for each in results if not each.held]
    _finish(known, len(samples), results, failed, json)


def _finish(
    name: str, dumps: int, results: list[CheckResult], failed: list[CheckResult], as_json: bool
) -> None:
    import msgspec

    result = {
        "detector": name,
        "dumps": dumps,
        "passed": not failed,
        "checks": [msgspec.to_builtins(each) for each in results],
    }
    lines = [line for each in results for line in _lines(each)]
    end = f"{len(results) - len(failed)} of {len(results)} checks hold on {counted(dumps, 'dump')}"
    finish(result, [*lines, end], as_json, Exit.PROBLEM if failed else Exit.OK)


def _lines(result: CheckResult) -> list[str]:
    if result.held:
        return [f"ok      {result.check} ({result.seconds:.1f} s)"]
    parts = [f"FAILED  {result.check}: {result.detail}"]
    if result.where:
        parts.append(f"        where: {result.where}")
    return [*parts, f"        what to do: {result.remedy}"]


def _made(folder: Path) -> list[SuiteSample]:
    from tocsin.dump_detectors.conformance import made_samples
    from tocsin.dump_detectors.suite_words import SuiteSample

    samples = []
    for sample in made_samples():
        path = folder / f"{sample.facts.sequence}.zip"
        path.write_bytes(sample.source.read(0, sample.source.size))
        samples.append(SuiteSample(archive=str(path), facts=sample.facts))
    return samples


def _found(folder: Path, devices: list[str]) -> list[SuiteSample]:
    """The first dumps of one device that are together not too large: every check shows all of them."""
    from tocsin.dump_detectors.folder import folder_dumps
    from tocsin.dump_detectors.suite import samples_of
    from tocsin.errors import InvalidInputError

    name, dumps = next(iter(folder_dumps(folder, devices).items()))
    taken: list[DumpFile] = []
    size_bytes = 0
    for dump in dumps[:_DUMPS_MAX]:
        size_bytes += dump.path.stat().st_size
        if taken and size_bytes > _BYTES_MAX:
            break
        if _can_be_read(dump):
            taken.append(dump)
    if not taken:
        raise InvalidInputError(f"no dump of {name} can be read", field="dumps")
    note(f"shown are {len(taken)} of {len(dumps)} dumps of {name}, the first that can be read")
    return samples_of(taken)


def _can_be_read(dump: DumpFile) -> bool:
    """Whether its archive is whole; says why not, since no detector is to blame for that."""
    from tocsin.dumps.archive import Archive
    from tocsin.dumps.source import FileSource
    from tocsin.errors import TocsinError

    try:
        with FileSource(dump.path) as source:
            Archive(source).prove()
    except TocsinError as error:
        note(f"{dump.path}: {error.detail}; the detector is not shown this dump")
        return False
    return True
