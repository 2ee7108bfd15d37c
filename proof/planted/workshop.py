"""A copy of the project in which bugs are planted and checks run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from proof.planted.bug import Bug
from proof.planted.kernels import Kernels
from proof.planted.marker import MODULE, VARIABLE, has_run

ROOT: Final = Path(__file__).parents[2]
_PARTS: Final = ("src", "proof", "tests", "scripts", "benchmarks", "pyproject.toml", "Makefile")


@dataclass(frozen=True, slots=True)
class Run:
    """What a command in the workshop came to. `ran`: the changed code did run."""

    code: int | None  # None = it took too long
    output: str
    ran: bool


class Workshop:
    """Use as a context; the copy is gone afterwards. Not thread-safe: one for each worker.

    Compiled kernels are copied too. While a bug is planted those that may hold code of its file lie aside.
    """

    def __init__(self, folder: Path) -> None:
        self.folder: Final = folder
        self._watched: Final = folder / "ran"
        self.root: Final = folder / "project"
        self.root.mkdir()
        for part in _PARTS:
            _copy(ROOT / part, self.root / part)
        (self.root / "src/tocsin/_planted.py").write_text(MODULE)
        self._kernels: Final = Kernels(self.root / "src")
        self._kernels.forget_stale()

    @contextmanager
    def planted(self, bug: Bug) -> Iterator[None]:
        """The bug is in the copy while the context lasts; PlantingError when it can't be."""
        path = self.root / bug.file
        original, times = path.read_text(), path.stat()
        path.write_text(bug.changed(original))
        aside = [(kernel, kernel.with_suffix(".aside")) for kernel in self._kernels.stale_after(path)]
        for kernel, place in aside:
            kernel.rename(place)
        try:
            yield
        finally:
            path.write_text(original)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # kernels compiled before stay valid
            for kernel in self._kernels.stale_after(path):
                kernel.unlink()
            for kernel, place in aside:
                place.rename(kernel)

    def run(self, command: Sequence[str], limit_s: float) -> Run:
        """Run a Python command (module and arguments) in the copy; it and what it started end by then."""
        self._watched.unlink(missing_ok=True)
        output = self.folder / "output"
        with output.open("wb") as stream:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=self.root,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            code = _wait(process, limit_s)
        return Run(code, output.read_text(errors="replace"), has_run(self._watched, output))

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "PYTHONPATH": f"{self.root / 'src'}{os.pathsep}{self.root}",
            "HYPOTHESIS_STORAGE_DIRECTORY": str(self.folder / "hypothesis"),
            "TMPDIR": str(_made(self.folder / "tmp")),
            VARIABLE: str(self._watched),
        }


@contextmanager
def workshop() -> Iterator[Workshop]:
    """A workshop in a temporary folder."""
    with tempfile.TemporaryDirectory(prefix="tocsin-planted-") as folder:
        yield Workshop(Path(folder))


def _wait(process: subprocess.Popen[bytes], limit_s: float) -> int | None:
    """The exit code; whatever the process has started goes with it."""
    try:
        return process.wait(limit_s)
    except subprocess.TimeoutExpired:
        return None
    finally:
        _end_group(process.pid)
        process.wait()


def _end_group(leader: int) -> None:
    try:
        os.killpg(leader, 9)
    except ProcessLookupError:
        return  # all of them have ended by themselves


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        ignore = shutil.ignore_patterns(".*_cache", "*.pyc")
        shutil.copytree(source, target, ignore=ignore)
    else:
        shutil.copy2(source, target)


def _made(folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return folder
