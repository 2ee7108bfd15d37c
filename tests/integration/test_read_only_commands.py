"""Commands that only read a folder: they leave the log as it was, and what was in force stays in force."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from tests.dump_detector_kit import install
from tests.dump_kit import content_digest, good_archive
from tests.dump_steps_kit import module
from tocsin.bootstrap import Application
from tocsin.cli.app import main
from tocsin.cli.opened import config_of, wait_until_caught_up
from tocsin.commit.dump_steps import BEFORE_ALL
from tocsin.log.abstract import RecordKind

DEVICE: Final = "press-1"
READERS: Final = (
    ["query", "SELECT count(*) FROM control"],
    ["digest"],
    ["dumps", DEVICE],
    ["explain", "all"],
    ["replay"],
    ["replay", "--correct"],
)


@pytest.fixture(autouse=True)
def detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package whose detector says what lines with the configured word say, else those with `fault`."""
    plain = module("2")
    said = plain.replace("if word == ", "if word == self.word or word == ").replace('== "fault"', "== None")
    begun = "def setup(self, config):"
    install(
        tmp_path,
        monkeypatch,
        said.replace(begun, f'{begun}\n        self.word = config.get("add", "fault")'),
    )


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The data folder, which does not exist yet."""
    return tmp_path / "data"


def watching(word: str = "jam") -> dict[str, Any]:
    return {"watch_dump_detectors": {"counting": {"config": {"add": word}}}}


@contextmanager
def serving(data: Path, options: Mapping[str, Any]) -> Iterator[Application]:
    application = Application(config_of(None, data, http_port=0, **options))
    key = application.bootstrap_admin() or (data.parent / "key").read_text()
    (data.parent / "key").write_text(key)
    with application:
        yield application
        wait_until_caught_up(application)


def send(application: Application, *sequences: int, text: str = "jam belt") -> None:
    """Dumps of the device; every second one says what `text` does."""
    for sequence in sequences:
        line = text if sequence % 2 else "calm"
        body = good_archive({"engine/engine.log": f"dump {sequence}\n{line}\n".encode()})
        times = {
            "collected_from": f"2026-11-22T10:{sequence:02}:00Z",
            "collected_to": f"2026-11-22T10:{sequence:02}:59Z",
        }
        key = (application.config.data.parent / "key").read_text()
        answer = httpx.put(
            f"{application.server.url}/v1/devices/{DEVICE}/dumps/{sequence}",
            params=times,
            content=body,
            headers={"Authorization": f"Bearer {key}", "Content-Digest": content_digest(body)},
            timeout=60,
        )
        assert answer.status_code == 201, answer.text


def logged(data: Path) -> tuple[list[int], list[tuple[int, int, bytes]]]:
    """Where each partition of the log ends, and every control record of log and lake."""
    application = Application(config_of(None, data))
    try:
        log, lake = application.log, application.lake
        ends = [log.end(partition) for partition in range(log.partitions)]
        found = []
        for partition, end in enumerate(ends):
            begin = log.begin(partition)
            records = lake.records(partition, 0, begin)
            while begin < end:
                records += log.read(partition, begin)
                begin = records[-1].next_offset
            controls = [record for record in records if record.kind is RecordKind.CONTROL]
            found += [(partition, record.offset, record.payload) for record in controls]
        return ends, found
    finally:
        application.stop()


def findings(data: Path) -> list[tuple[int, int, tuple[bytes, ...]]]:
    """What was said of each dump, and how often."""
    application = Application(config_of(None, data))
    try:
        assert application.stores.steps is not None
        judged = application.stores.steps.judged("default", DEVICE, "counting", BEFORE_ALL)
        return [(each.sequence, each.revision, each.findings) for each in judged]
    finally:
        application.stop()


def test_what_only_reads_changes_nothing_and_proves_what_was_found(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the configuration that the server had: no record more, 0 differ; the same with another one."""
    with serving(data, watching()) as application:
        send(application, 1, 2, 3)
    before = logged(data)
    assert sum(before[0]) > 3
    for command in READERS:
        assert main([*command, "--data", str(data)]) == 0, command
        assert logged(data) == before, command
    capsys.readouterr()
    other = data.parent / "other.yaml"
    other.write_text("watch: {dump_detectors: {counting: {config: {add: other}}, logs: {}}}\n")
    for named in ([], ["--config", str(other)]):
        assert main(["explain", "all", "--data", str(data), "--json", *named]) == 0
        proved = json.loads(capsys.readouterr().out)
        assert (proved["episodes"], proved["mismatches"]) == (2, [])
    assert logged(data) == before


def test_dumps_that_wait_for_a_detector_go_on_waiting(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Who reads does not say that nobody wants them: the next server shows them to its detector."""
    with serving(data, watching()) as application:
        send(application, 1)
        wait_until_caught_up(application)
        application.runtime.stop()  # what comes now is accepted, and nothing shows it to anybody
        application.runtime.failure = RuntimeError("stopped by the test")
        send(application, 2, 3)
    before = logged(data)
    assert main(["dumps", DEVICE, "--data", str(data), "--json"]) == 0
    states = [dump["state"] for dump in json.loads(capsys.readouterr().out)["dumps"]]
    assert states == ["processed", "ready", "ready"]
    assert main(["digest", "--data", str(data)]) == 1
    assert "2 dumps not yet judged" in capsys.readouterr().err
    assert logged(data) == before

    with serving(data, watching()):
        pass
    assert [(sequence, len(found)) for sequence, _, found in findings(data)] == [(1, 1), (2, 0), (3, 1)]


def test_each_dump_is_proved_by_the_configuration_it_was_judged_by(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Servers with one word, then another, then no detector: what both found is derived again."""
    with serving(data, watching("jam")) as application:
        send(application, 1, 2)
    with serving(data, watching("leak")) as application:
        send(application, 3, 4, text="leak valve")
    with serving(data, {}):
        pass
    assert main(["explain", "all", "--data", str(data)]) == 0
    out = capsys.readouterr().out
    assert "belt after 1 dumps" in out
    assert "valve after 3 dumps" in out
    assert "2 derived again, 0 differ" in out


def test_settings_that_went_and_came_back_change_no_finding(data: Path) -> None:
    """A server without the detector, or with another word, and no dump meanwhile: as if it had not been."""
    for folder, between in (data, [{}, watching("other")]), (data.parent / "calm", []):
        with serving(folder, watching()) as application:
            send(application, 1, 2)
        for options in between:
            with serving(folder, options):
                pass
        with serving(folder, watching()) as application:
            send(application, 3, 4)
        (data.parent / "key").unlink()
    found = findings(data)
    assert len(found) == 4
    assert found == findings(data.parent / "calm")


@pytest.mark.parametrize("command", READERS, ids=" ".join)
def test_a_folder_with_nothing_in_it_is_refused_and_left_alone(
    data: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """One that is empty stays empty, one that is not there is not made."""
    assert main([*command, "--data", str(data)]) != 0
    assert not data.exists()
    data.mkdir()
    assert main([*command, "--data", str(data)]) != 0
    assert list(data.iterdir()) == []
    assert "is no data folder of Tocsin" in capsys.readouterr().err
