"""`tocsin simulate logs` against a server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.http_kit import World
from tests.integration.http.test_server import serving
from tocsin.access.principal import Role
from tocsin.cli.app import main
from tocsin.log_lines import decode_line
from tocsin.payloads import decode_events


def test_a_server_gets_the_lines_that_a_file_would_have(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with its device, component, time and software; labels only where a file for them is named."""
    wanted = ["--devices", "2", "--hours", "12", "--scale", "0.05", "--start", "2026-11-22T00:00:00Z"]
    wanted += ["--fault-free-hours", "1", "--faults", "rate_burst", "--faults-per-device", "2"]
    assert main(["simulate", "logs", *wanted, "--out", str(tmp_path / "lines.ndjson")]) == 0
    with serving(world) as server:
        at = ("--url", f"http://127.0.0.1:{server.port}", "--token", world.key(Role.ADMIN))
        capsys.readouterr()
        assert main(["simulate", "logs", *wanted, *at, "--labels", str(tmp_path / "labels"), "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
    written = [json.loads(line) for line in (tmp_path / "lines.ndjson").read_bytes().splitlines()]
    assert (told["accepted"], told["rejected"]) == (len(written), 0)
    assert sorted(map(str, kept(world))) == sorted(map(str, written))
    assert (tmp_path / "labels").read_bytes() == (tmp_path / "lines.labels.ndjson").read_bytes()


def kept(world: World) -> list[dict[str, object]]:
    """The lines in the log, as a file has them."""
    found: list[dict[str, object]] = []
    for partition in range(world.log.partitions):
        for record in world.log.read(partition, 0):
            batch = decode_events(record.payload)
            for row in range(len(batch)):
                line = decode_line(batch.text[row].encode())
                application, version = batch.streams[batch.stream[row]]
                found.append(
                    {
                        "device": batch.device[row],
                        "component": line.component,
                        "time": int(batch.ts[row]),
                        "text": line.text,
                        "application": application,
                        "version": version,
                    }
                )
    return found
