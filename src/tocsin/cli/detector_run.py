"""`tocsin detector run`"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from tocsin.cli.detector_options import DetectorConfig, DetectorName, Devices, detector_config
from tocsin.cli.output import Exit, JsonFlag, finish, lines_of, note, progress
from tocsin.cli.targets import require_file

if TYPE_CHECKING:
    from tocsin.client import DumpFile
    from tocsin.dump_detectors.folder_run import FolderRun, Shown
    from tocsin.dump_detectors.state_file import KeptStates


def run(
    name: DetectorName,
    folder: Annotated[Path, typer.Argument(help="Folder with DEVICE/SEQUENCE.zip.")],
    device: Devices = None,
    config: DetectorConfig = None,
    out: Annotated[
        Path | None, typer.Option(help="File for the findings (NDJSON). Default: standard output.")
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            help="Keep here what the detector knows: run again with it, only newer dumps are shown."
        ),
    ] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="Forget what --state and --out hold, and begin anew.")
    ] = False,
    workers: Annotated[int, typer.Option(help="Processes side by side; a device stays with one.", min=1)] = 2,
    step_s: Annotated[float, typer.Option(help="Seconds that one dump may take.")] = 60.0,
    json: JsonFlag = False,
) -> None:
    """Show a detector the dumps of a folder, in workers and in order as the server would, and print findings.

    A dump that can't be read, or at which the detector fails twice, is named and passed over; the exit code
    is then 1. With --state a run that was killed goes on where it was: same findings, none twice in --out.
    """
    from tocsin.dump_detectors.folder import folder_dumps
    from tocsin.dump_detectors.folder_run import FolderRun
    from tocsin.dump_detectors.limits import StepLimits
    from tocsin.dump_detectors.pool import WorkerPool
    from tocsin.dump_detectors.source_tree import announced
    from tocsin.dump_detectors.state_file import KeptStates, held, load_states
    from tocsin.observability.logging import configure_logging

    configure_logging("warning", "console")  # standard output is for findings
    began_s = time.perf_counter()
    require_file(state, "state")
    settings = detector_config(config)
    dumps = folder_dumps(folder, device or [])
    alone = held(state) if state is not None else nullcontext()
    with alone, announced(name) as known, WorkerPool(workers, StepLimits(wall_s=step_s)) as pool:
        kept = KeptStates(detector=known)
        if state is not None and not replay:
            kept = load_states(state, known)
        counts = _Counts(known)
        with _findings_file(out, kept) as stream:
            steps = FolderRun(pool, known, settings, kept, ahead=2 * workers)
            _show(steps, dumps, stream, counts, kept if state is not None else None, state)
    result = counts.result() | {"seconds": round(time.perf_counter() - began_s, 3)}
    code = Exit.PROBLEM if counts.failed else Exit.OK
    if out is None and not json:
        for line in lines_of(result):
            note(line)
    finish(result, [] if out is None else lines_of(result), json, code)


class _Counts:
    """What happened, for the end of the run."""

    def __init__(self, detector: str) -> None:
        self.detector = detector
        self.devices: set[str] = set()
        self.shown = self.findings = self.passed_over = self.failed = 0
        self.cpu_s = 0.0

    def result(self) -> dict[str, Any]:
        return {
            "detector": self.detector,
            "devices": len(self.devices),
            "dumps": self.shown,
            "done_before": self.passed_over,
            "findings": self.findings,
            "failed": self.failed,
            "cpu_s": round(self.cpu_s, 3),
        }


def _show(
    run: FolderRun,
    dumps: Mapping[str, Sequence[DumpFile]],
    out: BinaryIO,
    counts: _Counts,
    kept: KeptStates | None,
    path: Path | None,
) -> None:
    from tocsin.dump_detectors.folder import in_rounds
    from tocsin.dump_detectors.state_file import save_states

    with progress("dumps", sum(map(len, dumps.values()))) as advance:
        for row in in_rounds(dumps):
            left = [dump for dump in row if not run.is_done(dump)]
            counts.devices.update(dump.device for dump in row)
            counts.passed_over += len(row) - len(left)
            for shown in run.round(left):
                _write(shown, out, counts)
            out.flush()
            if kept is not None and path is not None and left:
                if out is not sys.stdout.buffer:
                    os.fsync(out.fileno())
                    kept.out_bytes = out.tell()
                save_states(path, kept)
            advance(len(row))


def _write(shown: Shown, out: BinaryIO, counts: _Counts) -> None:
    import msgspec

    from tocsin.dump_detectors.steps import StepFailed

    dump, result = shown.dump, shown.result
    if isinstance(result, StepFailed):
        counts.failed += 1
        note(f"{dump.path}: {result.kind}: {result.detail}; the device goes on without this dump")
        return
    counts.shown += 1
    counts.cpu_s += result.cpu_s
    counts.findings += len(result.findings)
    head = {
        "device": dump.device,
        "epoch": dump.epoch,
        "sequence": dump.sequence,
        "detector": counts.detector,
        "version": result.state_version,
    }
    for finding in result.findings:
        row = head | msgspec.to_builtins(finding)
        out.write(msgspec.json.encode(row) + b"\n")


@contextmanager
def _findings_file(path: Path | None, kept: KeptStates) -> Iterator[BinaryIO]:
    """Where findings go: the file as long as the kept states know it, so that none is written twice."""
    from tocsin.errors import InvalidInputError

    if path is None:
        yield sys.stdout.buffer
        return
    try:
        stream = path.open("r+b" if kept.out_bytes else "wb")
    except OSError as error:
        raise InvalidInputError(f"{path}: {error.strerror}", field="out") from error
    with stream:
        if stream.seek(0, 2) < kept.out_bytes:
            raise InvalidInputError(f"{path} is shorter than --state says: use --replay", field="out")
        stream.truncate(kept.out_bytes)
        stream.seek(kept.out_bytes)
        yield stream
