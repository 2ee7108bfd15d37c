"""Lines of logs from the request to the inbox: cut into dumps, judged, and the same as if sent as dumps."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
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

STREAMER: Final = "press-1"
SENDER: Final = "press-2"
MINUTE_MS: Final = 60_000
START_MS: Final = 1_795_341_600_000  # 2026-11-22T10:00:00Z
Line = dict[str, Any]


@pytest.fixture(autouse=True)
def detector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package whose detector says what lines say that have `fault` behind their time."""
    said = module("2").replace("line.text.strip()", 'line.text.strip().partition(" ")[2]')
    install(tmp_path, monkeypatch, said)


@contextmanager
def serving(data: Path, **options: Any) -> Iterator[Application]:
    """A server with that detector; windows last a minute."""
    given = {"watch_dump_detectors": {"counting": {}}, "logs_window_s": 60} | options
    application = Application(config_of(None, data, http_port=0, **given))
    key = application.bootstrap_admin() or (data.parent / "key").read_text()
    (data.parent / "key").write_text(key)
    with application:
        yield application
        wait_until_caught_up(application)


def post(application: Application, body: bytes, **headers: str) -> httpx.Response:
    """Send lines as the admin."""
    key = (application.config.data.parent / "key").read_text()
    content = {"Authorization": f"Bearer {key}", "Content-Type": "application/x-ndjson"} | headers
    return httpx.post(f"{application.server.url}/v1/logs", content=body, headers=content, timeout=60)


def query(application: Application, sql: str) -> list[dict[str, Any]]:
    """The rows of a query."""
    rows: list[dict[str, Any]] = application.query_table(sql, tenant="default").to_pylist()
    return rows


def minutes(count: int, device: str = STREAMER) -> list[Line]:
    """Lines of so many minutes, ten seconds apart, from two components; every third minute has a fault."""
    lines: list[Line] = []
    for number in range(6 * count + 1):
        ms = START_MS + number * 10_000
        text = "fault belt" if number % 18 == 14 else f"cycle {number} done"
        lines.append(line(device, "engine", ms, text))
        lines.append(line(device, "door", ms + 5, "closed"))
    return lines[:-1]


def line(device: str, component: str, ms: int, text: str) -> Line:
    return {"device": device, "component": component, "time": ms, "text": text}


def ndjson(lines: Sequence[Mapping[str, Any]]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in lines)


def findings(application: Application, device: str) -> list[tuple[int, tuple[bytes, ...]]]:
    """What was found in each dump of the device."""
    assert application.stores.steps is not None
    judged = application.stores.steps.judged("default", device, "counting", BEFORE_ALL)
    return [(each.sequence, each.findings) for each in judged]


def test_lines_come_out_as_findings_in_the_inbox(tmp_path: Path) -> None:
    """Three whole minutes are three dumps, judged in order; the fault is an anomaly, its line in the lake."""
    with serving(tmp_path / "data") as application:
        answer = post(application, ndjson(minutes(3)))
        assert (answer.status_code, answer.json()["accepted"]) == (200, 37)
        wait_until_caught_up(application)
        dumps = application.runtime.views.dumps("default", STREAMER)
        assert dumps is not None
        assert [(item.dump.sequence, item.state) for item in dumps.dumps] == [
            (1, "processed"),
            (2, "processed"),
            (3, "processed"),
        ]
        spans = [(item.dump.collected_from_ms, item.dump.collected_to_ms) for item in dumps.dumps]
        assert spans == [(START_MS + n * MINUTE_MS, START_MS + (n + 1) * MINUTE_MS) for n in range(3)]
        (anomaly,) = httpx.get(
            f"{application.server.url}/v1/anomalies",
            headers={"Authorization": f"Bearer {(tmp_path / 'key').read_text()}"},
            timeout=60,
        ).json()["anomalies"]
        assert anomaly["device"] == STREAMER
        rows = query(application, "SELECT component, text FROM logs WHERE text LIKE 'fault%'")
        assert rows == [{"component": "engine", "text": "fault belt"}]
        assert query(application, "SELECT count(*) AS n FROM events") == [{"n": 0}]


def test_the_command_sends_a_file_of_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each device's in order over several connections; a line that is none is told, the others are sent."""
    lines = [each for device in (STREAMER, SENDER) for each in minutes(3, device)]
    (tmp_path / "lines.ndjson").write_bytes(ndjson(lines[:5]) + b"nonsense\n" + ndjson(lines[5:]))
    with serving(tmp_path / "data") as application:
        words = ["ingest", "--logs", str(tmp_path / "lines.ndjson"), "--connections", "2", "--json"]
        where = ["--url", application.server.url, "--token", (tmp_path / "key").read_text()]
        assert main([*words, "--body-events", "10", *where]) == 1
        told = json.loads(capsys.readouterr().out.splitlines()[-1])
        assert (told["accepted"], told["refused"]) == (len(lines), {"invalid_json": 1})
        wait_until_caught_up(application)
        assert [sequence for sequence, _ in findings(application, STREAMER)] == [1, 2, 3]
        assert [sequence for sequence, _ in findings(application, SENDER)] == [1, 2, 3]


@pytest.mark.parametrize("size", [1, 7, 1_000])
def test_a_stream_and_dumps_of_the_same_lines_give_the_same_findings(tmp_path: Path, size: int) -> None:
    """Cut where the dumps were cut, however many lines a request has: lines and sentences agree."""
    with serving(tmp_path / "data") as application:
        lines = minutes(6)
        for first in range(0, len(lines), size):
            assert post(application, ndjson(lines[first : first + size])).status_code == 200
        for number in range(6):
            send_dump(application, number + 1, lines[12 * number : 12 * number + 12])
        wait_until_caught_up(application)
        found = findings(application, STREAMER)
        assert len(found) == 6
        assert found == findings(application, SENDER)


def send_dump(application: Application, sequence: int, lines: Sequence[Line]) -> None:
    """The lines as the files of a dump of the other device."""
    members: dict[str, bytes] = {}
    for each in lines:
        name = f"{each['component']}/{each['component']}.log"
        stamp = f"2026-11-22T10:{sequence - 1:02}:{(each['time'] - START_MS) // 1000 % 60:02}"
        members[name] = (
            members.get(name, b"") + f"{stamp}.{each['time'] % 1000:03}Z {each['text']}\n".encode()
        )
    body = good_archive(dict(sorted(members.items())))
    key = (application.config.data.parent / "key").read_text()
    answer = httpx.put(
        f"{application.server.url}/v1/devices/{SENDER}/dumps/{sequence}",
        params={
            "collected_from": str(START_MS + (sequence - 1) * MINUTE_MS),
            "collected_to": str(START_MS + sequence * MINUTE_MS),
        },
        content=body,
        headers={"Authorization": f"Bearer {key}", "Content-Digest": content_digest(body)},
        timeout=60,
    )
    assert answer.status_code == 201, answer.text
