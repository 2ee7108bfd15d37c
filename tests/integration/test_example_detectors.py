"""The examples of dump detectors, installed as a team installs its own, killed and upgraded."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tocsin.testing import COMMAND

pytestmark = [pytest.mark.services, pytest.mark.long]

ROOT = Path(__file__).parents[2]
EXAMPLES = {"line-shapes": "line_shapes", "number-fields": "number_fields"}
BEFORE = {"line-shapes": "line_shapes_3", "number-fields": "number_fields_1"}
HALF = 52


@dataclass
class Installed:
    """A Python with Tocsin and one example in it, and what there is to show."""

    name: str
    python: Path
    dumps: Path
    folder: Path

    def pip(self, *words: str) -> None:
        """Install, by this environment's uv, into that Python."""
        command = [
            sys.executable,
            "-m",
            "uv",
            "pip",
            "install",
            "--quiet",
            "--python",
            str(self.python),
            *words,
        ]
        subprocess.run(command, check=True)

    def install(self, package: Path) -> None:
        """A package from its folder; what it depends on is there."""
        self.pip(
            "--no-deps", "--no-build-isolation", "--reinstall-package", f"tocsin-{self.name}", str(package)
        )

    def command(self, *words: str) -> list[str]:
        return [str(self.python.parent / "tocsin"), "detector", *words]

    def detector(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `tocsin detector` there, to its end."""
        return subprocess.run(self.command(*words), capture_output=True, text=True, check=False)

    def run(self, dumps: Path, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
        """Show it a folder of dumps."""
        return self.detector("run", self.name, str(dumps), "--out", str(out), *more)


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two machines for four days, the last two with faults."""
    folder = tmp_path_factory.mktemp("simulated") / "dumps"
    words = ["--devices", "2", "--hours", "96", "--seed", "5", "--faults-per-device", "5", "--scale", "0.5"]
    subprocess.run(
        [str(COMMAND), "simulate", "dumps", *words, "--out", str(folder)],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module", params=EXAMPLES)
def installed(
    request: pytest.FixtureRequest, dumps: Path, tmp_path_factory: pytest.TempPathFactory
) -> Installed:
    """One example, installed from its folder into a Python of its own beside Tocsin."""
    folder = tmp_path_factory.mktemp(request.param)
    subprocess.run(
        [sys.executable, "-m", "uv", "venv", "--quiet", "--python", sys.executable, str(folder / "venv")],
        check=True,
    )
    example = Installed(request.param, folder / "venv" / "bin" / "python", dumps, folder)
    locks = [ROOT / "requirements" / f"{name}.txt" for name in ("dev", "installer")]
    for lock in (*locks, source(example) / "requirements.txt"):
        example.pip("--require-hashes", "-r", str(lock))
    example.pip("--no-deps", "--no-build-isolation", str(ROOT))
    example.install(source(example))
    return example


def source(example: Installed) -> Path:
    return ROOT / "examples" / EXAMPLES[example.name]


def version_before(example: Installed, folder: Path) -> Path:
    """The package as it was when the version before was released."""
    module, before = EXAMPLES[example.name], BEFORE[example.name]
    shutil.copytree(source(example), folder)
    shutil.copy(folder / "tests" / f"{before}.py", folder / "src" / module)
    project = folder / "pyproject.toml"
    text = re.sub(r'(?m)^version = "\d', f'version = "{before[-1]}', project.read_text())
    project.write_text(text.replace(f"{module}:", f"{module}.{before}:"))
    return folder


def first_half(dumps: Path, folder: Path) -> Path:
    """The dumps of each machine up to the 52nd."""
    for path in dumps.glob("*/*.zip"):
        if int(path.stem) <= HALF:
            (folder / path.parent.name).mkdir(parents=True, exist_ok=True)
            for file in (path, path.with_suffix(".json")):
                (folder / path.parent.name / file.name).symlink_to(file)
    return folder


def findings(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def calm(installed: Installed) -> Path:
    """What it finds when nothing happens: something in the second half, or nothing would be compared."""
    out = installed.folder / "calm.ndjson"
    done = installed.run(installed.dumps, out)
    assert done.returncode == 0, done.stderr
    assert any(row["sequence"] > HALF for row in findings(out))
    return out


def test_it_passes_the_suite(installed: Installed) -> None:
    """Every check holds for the installed package, on made dumps; processes and a worker included."""
    done = installed.detector("test", installed.name, "--json")
    assert done.returncode == 0, done.stdout
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["passed"], len(result["checks"])) == (True, 10)


def test_its_own_tests_pass(installed: Installed) -> None:
    """The tests in its folder, on the installed package."""
    done = subprocess.run(
        [str(installed.python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "not relies_on"],
        cwd=source(installed), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_a_killed_run_goes_on_to_the_same_findings(installed: Installed, calm: Path) -> None:
    """SIGKILL in mid-stream: the kept state and what is written of the findings make up the rest."""
    out, state = installed.folder / "killed.ndjson", installed.folder / "killed.state"
    kept = ["--out", str(out), "--state", str(state)]
    command = installed.command("run", installed.name, str(installed.dumps), *kept)
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    first = 0
    while process.poll() is None and first < 20:
        first += bool(changed(state, process))
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    done = installed.run(installed.dumps, out, "--state", str(state), "--json")
    assert done.returncode == 0, done.stderr
    assert 0 < json.loads(done.stdout.splitlines()[-1])["done_before"] < 208
    assert out.read_bytes() == calm.read_bytes()


def changed(path: Path, process: subprocess.Popen[bytes]) -> bool:
    """Whether the file was written anew; waits for it as long as the process lives."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    while process.poll() is None:
        if path.exists() and path.stat().st_mtime_ns != before:
            return True
        time.sleep(0.01)
    return False


def test_a_new_version_takes_over_to_the_same_findings(
    installed: Installed, calm: Path, tmp_path: Path
) -> None:
    """By migration where there is a way from the older bytes, else by replay, which is asked for."""
    out, state = tmp_path / "out.ndjson", tmp_path / "state"
    installed.install(version_before(installed, tmp_path / "before"))
    begun = installed.run(first_half(installed.dumps, tmp_path / "half"), out, "--state", str(state))
    installed.install(source(installed))
    assert begun.returncode == 0, begun.stderr
    words = ("--state", str(state))
    done = installed.run(installed.dumps, out, *words)
    if installed.name == "line-shapes":
        assert done.returncode == 0, done.stderr
        later = [row for row in findings(out) if row["sequence"] > HALF]
        assert later == [row for row in findings(calm) if row["sequence"] > HALF]
        return
    assert done.returncode == 2
    assert "can't go on from the state of version 1" in done.stderr
    done = installed.run(installed.dumps, out, *words, "--replay")
    assert done.returncode == 0, done.stderr
    assert out.read_bytes() == calm.read_bytes()
