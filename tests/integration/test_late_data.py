"""Readings that come late, through a real server: what comes of them equals what order would have given."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.kit import fleet
from tocsin.testing import COMMAND, Server

pytestmark = pytest.mark.long

_LATE_SHARE = 0.05
_BEHIND_LINES_MAX = 400


def _tocsin(*arguments: str | Path) -> dict[str, Any]:
    command = [str(COMMAND), *map(str, arguments), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.fixture(scope="module")
def ordered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fleet's readings in order of time, each stamp of a device once."""
    path = tmp_path_factory.mktemp("fleet") / "ordered.ndjson"
    rows = fleet(7, devices=6, steps=600)
    path.write_text(
        "".join(json.dumps({"device": name, "ts": ts, **values}) + "\n" for name, ts, values in rows)
    )
    return path


@pytest.fixture(scope="module")
def late(ordered: Path) -> Path:
    """The same lines, every twentieth delivered up to 400 lines, over an hour, after its turn."""
    rng = random.Random(5)
    lines = ordered.read_text().splitlines(keepends=True)
    turns = [
        turn + (rng.uniform(1, _BEHIND_LINES_MAX) if rng.random() < _LATE_SHARE else 0)
        for turn in range(len(lines))
    ]
    path = ordered.with_name("late.ndjson")
    path.write_text("".join(line for _, line in sorted(zip(turns, lines, strict=True))))
    return path


@pytest.fixture(scope="module")
def server(late: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that has taken in the late lines and corrected what they change."""
    data = tmp_path_factory.mktemp("server") / "data"
    with Server(data, {"TOCSIN_PROCESSING__CORRECTION_INTERVAL_S": "1"}) as running:
        running.run("ingest", late, "--body-events", "500")
        running.digest()
        yield running


def test_late_readings_end_as_if_they_had_come_in_time(server: Server, ordered: Path, tmp_path: Path) -> None:
    """After corrections, `raw` and `final` are those of a backtest of the ordered file."""
    digest = server.digest()
    summary = _tocsin("backtest", ordered, "--out", tmp_path / "out")
    assert {name: digest[name] for name in ("digest_raw", "digest_final")} == {
        name: summary[name] for name in ("digest_raw", "digest_final")
    }
    assert digest["digest_scored"] != digest["digest_final"]
    assert digest["counts"]["late"] > 100
    assert digest["counts"]["accepted"] == summary["counts"]["accepted"]


def test_what_was_said_before_stays_readable(server: Server) -> None:
    """A corrected episode keeps its id; all that was said of it, from the first revision on, is there."""
    episodes = server.get("/v1/episodes", limit="200")["episodes"]
    corrected = [episode for episode in episodes if episode["revision"] > 0]
    assert corrected
    for episode in corrected:
        revisions = server.get(f"/v1/episodes/{episode['id']}/revisions")["revisions"]
        numbers = [each["revision"] for each in revisions]
        assert numbers == sorted(numbers)
        assert set(numbers) == set(range(episode["revision"] + 1))
        assert {**revisions[-1], "evidence": None} == episode
