"""`tocsin detector`: what a team types while it writes a detector of dumps."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.dump_detector_kit import MODULE, install
from tests.dump_kit import good_archive
from tocsin.cli import main


def dumps(folder: Path, devices: dict[str, int]) -> Path:
    """So many dumps of each device; dump n has n lines."""
    for device, count in devices.items():
        (folder / device).mkdir(parents=True)
        for number in range(1, count + 1):
            archive = good_archive({"engine/engine.log": b"x\n" * number})
            (folder / device / f"{number}.zip").write_bytes(archive)
    return folder


def reasons(path: Path) -> list[tuple[str, int, str]]:
    """Device, sequence and reason of each finding in the file."""
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [(row["device"], row["sequence"], row["reason"]) for row in rows]


def last_json(capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, Any], str]:
    """The JSON object that a command ended with, and what it noted."""
    said = capsys.readouterr()
    return json.loads(said.out.splitlines()[-1]), said.err


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The kit's detector is installed, a folder with dumps of two devices is there."""
    install(tmp_path, monkeypatch)
    return dumps(tmp_path / "dumps", {"pump-1": 3, "pump-2": 4})


def test_findings_come_in_the_order_of_dumps(installed: Path, tmp_path: Path) -> None:
    """One dump of each device, then the next: whatever the number of workers."""
    one, two = tmp_path / "one.ndjson", tmp_path / "two.ndjson"
    for out, workers in ((one, "1"), (two, "3")):
        command = ["detector", "run", "counting", str(installed), "--out", str(out), "--workers", workers]
        assert main(command) == 0
    order = [(sequence, device) for device, sequence, _ in reasons(one)]
    assert order == [*sorted(order)]
    assert len(order) == 7
    assert reasons(one)[-1][2] == "dump 4 of pump-2 makes 10 lines"
    assert one.read_bytes() == two.read_bytes()


def test_a_dump_that_cant_be_read_is_passed_over(
    installed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its name and why are said, the device goes on from what was known before, and the exit code is 1."""
    (installed / "pump-1" / "2.zip").write_bytes(b"PK no archive")
    out = tmp_path / "out.ndjson"
    assert main(["detector", "run", "counting", str(installed), "--out", str(out), "--json"]) == 1
    result, noted = last_json(capsys)
    assert (result["dumps"], result["failed"]) == (6, 1)
    assert "pump-1/2.zip: archive: " in noted
    assert ("pump-1", 3, "dump 3 of pump-1 makes 4 lines") in reasons(out)


def test_standard_output_has_findings_alone(installed: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Another program reads it: how many there were, and what failed, is told beside it, once."""
    assert main(["detector", "run", "counting", str(installed)]) == 0
    said = capfd.readouterr()
    assert len([json.loads(line)["reason"] for line in said.out.splitlines()]) == 7
    assert said.err.count("findings: 7") == 1
    (installed / "pump-1" / "2.zip").write_bytes(b"PK no archive")
    assert main(["detector", "run", "counting", str(installed)]) == 1
    said = capfd.readouterr()
    assert len([json.loads(line)["reason"] for line in said.out.splitlines()]) == 6
    assert said.err.count("2.zip") == 1
    assert "step" not in said.err


def test_a_run_goes_on_from_the_kept_state(installed: Path, tmp_path: Path) -> None:
    """One that ended with findings of the next dump half written gives what a calm one does."""
    calm, cut, state = tmp_path / "calm.ndjson", tmp_path / "cut.ndjson", tmp_path / "state"
    command = ["detector", "run", "counting", str(installed)]
    assert main([*command, "--out", str(calm)]) == 0
    late = installed / "pump-2" / "4.zip"
    body = late.read_bytes()
    late.unlink()
    with_state = [*command, "--out", str(cut), "--state", str(state)]
    assert main(with_state) == 0
    with cut.open("ab") as stream:
        stream.write(b'{"half":')
    late.write_bytes(body)
    assert main(with_state) == 0
    assert cut.read_bytes() == calm.read_bytes()
    assert main(with_state) == 0
    assert cut.read_bytes() == calm.read_bytes()


def test_a_state_that_a_version_cant_read_is_refused_until_replay(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A version without a way from the old bytes says so; --replay gives what it finds from the first."""
    out, state = tmp_path / "out.ndjson", tmp_path / "state"
    command = ["detector", "run", "counting", str(installed), "--out", str(out), "--state", str(state)]
    assert main(command) == 0
    before = out.read_bytes()
    module = tmp_path / "installed" / "counting_kit.py"
    module.write_text(MODULE.replace('version = "2"', 'version = "33"'))
    (installed / "pump-2" / "5.zip").write_bytes((installed / "pump-2" / "4.zip").read_bytes())
    assert main(command) == 2
    assert "can't go on from the state of version 2" in (said := capsys.readouterr().err)
    assert "--replay" in said
    assert main([*command, "--replay"]) == 0
    assert out.read_bytes().replace(b'"33"', b'"2"').startswith(before)


def test_a_damaged_state_is_refused(installed: Path, tmp_path: Path) -> None:
    """A flipped bit never becomes knowledge."""
    state = tmp_path / "state"
    command = [
        "detector",
        "run",
        "counting",
        str(installed),
        "--out",
        str(tmp_path / "o"),
        "--state",
        str(state),
    ]
    assert main(command) == 0
    raw = bytearray(state.read_bytes())
    raw[-5] ^= 1
    state.write_bytes(raw)
    assert main(command) == 2


def test_two_runs_never_share_a_state(
    installed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second is told so and writes nothing; once the first has ended, another one goes on."""
    from tocsin.dump_detectors.state_file import held

    out, state = tmp_path / "out.ndjson", tmp_path / "state"
    command = ["detector", "run", "counting", str(installed), "--out", str(out), "--state", str(state)]
    with held(state):
        assert main(command) == 3
        assert "state is in use by another run" in capsys.readouterr().err
        assert not out.exists()
    assert main(command) == 0


def test_a_place_that_cant_be_written_is_named(
    installed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For findings and for the state: wrong usage, and no internal error."""
    command = ["detector", "run", "counting", str(installed)]
    out, state = tmp_path / "no" / "out", tmp_path / "no" / "state"
    for words, said in (
        (["--out", str(out)], f"{out}: No such file or directory"),
        (["--state", str(state)], f"the folder {state.parent} does not exist: make it first"),
    ):
        assert main([*command, *words]) == 2
        assert said in capsys.readouterr().err


def test_one_device_alone_can_be_shown(installed: Path, tmp_path: Path) -> None:
    """Of a folder of many, or of a folder that is one device's; a device that is not there is an error."""
    out = tmp_path / "out.ndjson"
    common = ["--out", str(out), "--device", "pump-2"]
    assert main(["detector", "run", "counting", str(installed), *common]) == 0
    among_others = out.read_bytes()
    assert {device for device, _, _ in reasons(out)} == {"pump-2"}
    assert main(["detector", "run", "counting", str(installed / "pump-2"), *common]) == 0
    assert out.read_bytes() == among_others
    assert main(["detector", "run", "counting", str(installed), "--device", "pump-9"]) == 2


def test_numbers_that_began_anew_are_shown_too(
    installed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The dumps of a later epoch come after all of the first, also in a run that goes on, and say so."""
    out, state = tmp_path / "out.ndjson", tmp_path / "state"
    command = ["detector", "run", "counting", str(installed), "--out", str(out), "--state", str(state)]
    for number, shown in ((1, 8), (2, 1)):
        (installed / "pump-1" / f"1-{number}.zip").write_bytes(good_archive({"engine.log": b"x\n"}))
        assert main([*command, "--json"]) == 0
        assert last_json(capsys)[0]["dumps"] == shown
    rows = [json.loads(line) for line in out.read_text().splitlines()]
    found = [(row["epoch"], row["sequence"]) for row in rows if row["device"] == "pump-1"]
    assert found == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2)]


def test_the_file_beside_a_dump_says_when_it_was_collected(tmp_path: Path) -> None:
    """What `tocsin upload` would tell a server reaches the detector; what is no time is told."""
    from tocsin.dump_detectors.folder import facts_of, folder_dumps
    from tocsin.errors import InvalidInputError

    folder = dumps(tmp_path / "dumps", {"pump-1": 2})
    beside = folder / "pump-1" / "2.json"
    said = {"collected_from": "1970-01-01T00:00:00.005Z", "collected_to": "9", "version": "4"}
    beside.write_text(json.dumps(said))
    one, two = folder_dumps(folder)["pump-1"]
    assert (facts_of(one).collected_from_ms, facts_of(one).version) == (None, "")
    facts = facts_of(two)
    assert (facts.collected_from_ms, facts.collected_to_ms, facts.version) == (5, 9, "4")
    beside.write_text('{"collected_to": "noon"}')
    with pytest.raises(InvalidInputError, match=r"collected_to beside .*2\.zip"):
        facts_of(two)


@pytest.mark.parametrize(
    ("change", "check", "told"),
    [
        (("self.lines += count", "self.lines += hash(str(count)) % 100"), "processes", "another process"),
        (("self.dumps += 1\n", "self.dumps += 1\n        if self.dumps == 9: os._exit(3)\n"),
         "determinism", "ended with 3"),
        (("import ctypes", "import no_such_module, ctypes"), "import", "no_such_module"),
        (("self.dumps += 1\n", "self.dumps += 1\n        socket.create_connection(('127.0.0.1', 9), 1)\n"),
         "worker", "PermissionError"),
    ],
)  # fmt: skip
def test_the_suite_says_what_does_not_hold_and_what_to_do(
    change: tuple[str, str],
    check: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What only shows between processes, in a worker or as the end of a process is found too."""
    install(tmp_path, monkeypatch, MODULE.replace(*change))
    folder = dumps(tmp_path / "dumps", {"pump-1": 12})
    assert main(["detector", "test", "counting", "--dumps", str(folder), "--json"]) == 1
    result, _ = last_json(capsys)
    failed = {each["check"]: each for each in result["checks"] if not each["held"]}
    assert told in failed[check]["detail"]
    assert failed[check]["remedy"]


def test_the_suite_does_not_blame_the_detector_for_a_dump(
    installed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One that can't be read is named and left out; where there is no other, nothing can be checked."""
    (installed / "pump-1" / "2.zip").write_bytes(b"PK no archive")
    command = ["detector", "test", "counting", "--dumps", str(installed), "--device", "pump-1", "--json"]
    assert main(command) == 0
    result, noted = last_json(capsys)
    assert (result["dumps"], result["passed"]) == (2, True)
    assert "pump-1/2.zip: This is no ZIP archive" in noted
    for number in (1, 3):
        (installed / "pump-1" / f"{number}.zip").write_bytes(b"PK no archive")
    assert main(command) == 2
    assert "no dump of pump-1 can be read" in capsys.readouterr().err


def test_the_suite_of_a_detector_that_there_is_not_is_a_usage_error(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """As for a run: nothing was checked, so nothing can be said to fail."""
    assert main(["detector", "test", "nothing-like-it"]) == 2
    said = capsys.readouterr()
    assert ("there is no dump detector 'nothing-like-it'" in said.err, said.out) == (True, "")


@pytest.mark.long
def test_a_new_package_is_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It passes its own tests, ruff, mypy --strict and the suite, as it is."""
    folder = tmp_path / "door-watch"
    assert main(["detector", "new", "door-watch", "--out", str(folder)]) == 0
    for command in (
        ["pytest", "-q", "-p", "no:cacheprovider"],
        ["ruff", "check", "--no-cache"],
        ["ruff", "format", "--check", "--no-cache"],
        ["mypy", "--strict", "--cache-dir", str(tmp_path / "mypy")],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    assert main(["detector", "test", str(folder)]) == 0
    assert "10 of 10 checks hold on 16 dumps" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["Door", "door watch", "json", "class", "", "x" * 65])
def test_a_name_that_cant_be_a_module_is_refused(name: str, tmp_path: Path) -> None:
    """Before anything is written."""
    assert main(["detector", "new", name, "--out", str(tmp_path / "made")]) == 2
    assert not (tmp_path / "made").exists()


def test_nothing_is_written_over(tmp_path: Path) -> None:
    """A folder with something in it stays as it is."""
    (tmp_path / "mine.txt").write_text("mine")
    assert main(["detector", "new", "door-watch", "--out", str(tmp_path)]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
