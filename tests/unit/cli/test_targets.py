"""Places that commands can't write to: said before any work, with what to do."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.dump_kit import good_archive
from tocsin.cli.app import main

Capture = pytest.CaptureFixture[str]

FILES: dict[str, tuple[Sequence[str], str]] = {
    "simulate": (["simulate", "--days", "1", "--out", "TARGET.csv"], "out"),
    "labels": (["simulate", "--days", "1", "--out", "HERE/fleet.csv", "--labels", "TARGET.csv"], "labels"),
    "templates": (["templates", "HERE/some.log", "--out", "TARGET.csv"], "out"),
    "dictionary": (["templates", "HERE/some.log", "--export", "TARGET.csv"], "export"),
    "query": (["query", "SELECT 1", "--data", "HERE/data", "--out", "TARGET.csv"], "out"),
    "export": (["lake", "export", "--data", "HERE/data", "--out", "TARGET.csv"], "out"),
    "ingest": (["ingest", "HERE/some.csv", "--token", "t", "--resume", "TARGET.csv"], "resume"),
    "upload": (["upload", "HERE/dumps", "--token", "t", "--resume", "TARGET.csv"], "resume"),
    "run": (["detector", "run", "logs", "HERE/dumps", "--state", "TARGET.csv"], "state"),
}
FOLDERS: dict[str, Sequence[str]] = {
    "backtest": ["backtest", "HERE/some.csv", "--out", "TARGET"],
    "dumps": ["simulate", "dumps", "--devices", "1", "--hours", "1", "--out", "TARGET"],
    "detector": ["detector", "new", "door-watch", "--out", "TARGET"],
}


@pytest.fixture
def here(tmp_path: Path) -> Path:
    """What the commands read, a file and a folder to be in the way."""
    (tmp_path / "some.log").write_text("pump started\n" * 3)
    (tmp_path / "some.csv").write_text("device,ts,t\np,1700000000000,1\np,1700000060000,2\n")
    (tmp_path / "dumps" / "p").mkdir(parents=True)
    (tmp_path / "dumps" / "p" / "1.zip").write_bytes(good_archive({"a.log": b"x\n"}))
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder.csv").mkdir()
    return tmp_path


def said(words: Sequence[str], here: Path, target: str, capsys: Capture) -> tuple[int, str]:
    """Exit code and the one line about it, or with --json the object."""
    filled = [word.replace("HERE", str(here)).replace("TARGET", str(here / target)) for word in words]
    code = main(filled)
    captured = capsys.readouterr()
    return code, captured.out if "--json" in words else captured.err


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    ("target", "why"),
    [
        ("folder", "folder.csv is a folder: name a file in it"),
        ("absent/x", "absent does not exist: make it first"),
        ("file/x", "file does not exist: make it first"),
        ("x" * 300, "File name too long: name another place"),
    ],
    ids=["folder", "absent", "below-a-file", "too-long"],
)
def test_a_file_that_cant_be_written_is_named(
    name: str, target: str, why: str, here: Path, capsys: Capture
) -> None:
    """Wrong usage, with the place and what to do; nothing is written."""
    words, _ = FILES[name]
    before = sorted(here.rglob("*"))
    code, err = said(words, here, target, capsys)
    assert (code, why in err) == (2, True), err
    assert "invalid_input" in err
    assert sorted(here.rglob("*")) == before


@pytest.mark.parametrize("name", FOLDERS)
@pytest.mark.parametrize("target", ["file", "file/below"])
def test_a_folder_that_is_a_file_is_named(name: str, target: str, here: Path, capsys: Capture) -> None:
    """The file stays as it is."""
    code, err = said(FOLDERS[name], here, target, capsys)
    assert (code, f"{here / 'file'} is a file: name a folder" in err) == (2, True), err
    assert (here / "file").read_text() == "mine"


@pytest.mark.parametrize("name", [*FILES, *FOLDERS])
def test_a_place_without_permission_is_named(
    name: str, here: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the system lets nobody write into is told before any work too, and which option named it."""
    (here / "closed").mkdir()
    monkeypatch.setattr("os.access", lambda path, _mode: "closed" not in str(path))
    words, option = FILES[name] if name in FILES else (FOLDERS[name], "out")
    code, out = said([*words, "--json"], here, "closed/x", capsys)
    error = json.loads(out.splitlines()[-1])["error"]
    assert (code, error["code"], error["field"]) == (2, "invalid_input", option)
    assert f"{here / 'closed'} can't be written by this user: name another place" in error["detail"]


@pytest.mark.parametrize(
    ("number", "told", "remedy"),
    [
        (errno.ENOSPC, "storage_full", "free space"),
        (errno.EROFS, "storage_unavailable", "name another place"),
        (errno.EACCES, "storage_unavailable", "name another place"),
        (errno.ENAMETOOLONG, "storage_unavailable", "name a shorter one"),
    ],
)
def test_a_disk_that_fails_later_is_no_bug(
    number: int,
    told: str,
    remedy: str,
    here: Path,
    capsys: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A disk that fills up or becomes read-only under a command, or can't take a name, is said to be so."""

    def fails(*_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(here / "verdicts.parquet"))

    monkeypatch.setattr("tocsin.files.open_events", fails)
    code, err = said(FOLDERS["backtest"], here, "out", capsys)
    assert code == 1
    assert f"tocsin: {told}: {here / 'verdicts.parquet'}: {os.strerror(number)}: {remedy}" in err
