"""The demo as its user sees it: it ends by itself, ends on Ctrl-C, and goes on with what it had."""

from __future__ import annotations

import hashlib
import json
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest

from tocsin.access.credential import CredentialKind, NewCredential
from tocsin.access.principal import Role
from tocsin.bootstrap import Application
from tocsin.cli.app import main
from tocsin.cli.demo_machines import DETECTORS, MachineFeed, MachineStory
from tocsin.cli.demo_story import load_story, save_story
from tocsin.cli.opened import ask, config_of, wait_until_caught_up
from tocsin.client import Destination, EventSender
from tocsin.dump_detectors import registry
from tocsin.simulate.dumps.folder import write_dump
from tocsin.simulate.dumps.live import LiveMachines
from tocsin.simulate.faults import Fault, FaultKind
from tocsin.simulate.fleet import Fleet
from tocsin.simulate.simulator import Simulator

TOCSIN = [sys.executable, "-c", "import sys; from tocsin.cli import main; sys.exit(main())"]
FLEET = ["--stations", "3", "--days", "2", "--machines", "0"]
MACHINE = ["--stations", "1", "--days", "1", "--machines", "1"]
SHIFT = Fault(
    kind=FaultKind.LEVEL_SHIFT,
    station=1,
    from_ms=40 * 3_600_000,
    to_ms=42 * 3_600_000,
    quantity=0,
    size=20.0,
)


def tocsin(*words: object, timeout_s: float = 120) -> subprocess.CompletedProcess[str]:
    command = [*TOCSIN, *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)


def ending(done: subprocess.CompletedProcess[str]) -> tuple[int, int]:
    """Events and anomalies of the last line; the run must have ended well."""
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(r"events: (\d+) anomalies: (\d+) data: .+", done.stdout.splitlines()[-1])
    assert found is not None, done.stdout
    return int(found[1]), int(found[2])


def until_line(
    data: Path, word: str, fleet: Sequence[str] = FLEET, enough: Callable[[], bool] = lambda: True
) -> tuple[int, int]:
    """Start the demo, press Ctrl-C after the first line on stderr with `word`, as soon as there is `enough`.

    What its last line says. The demo is ended after four minutes without: it would go on for ever.
    """
    command = [*TOCSIN, "demo", "--data", str(data), *fleet]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert running.stderr is not None
    patience = threading.Timer(240, running.kill)
    patience.start()
    said = any(word in line for line in running.stderr)
    while said and running.poll() is None and not enough():
        time.sleep(0.2)
    patience.cancel()
    assert said, f"no line with {word!r}"
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=60)
    return ending(subprocess.CompletedProcess([], running.returncode, out, err))


def test_the_demo_looks_for_garbage_as_often_as_a_server(tmp_path: Path) -> None:
    """It serves as long as somebody looks at it: what is seldom enough for a start is not for that."""
    told = "import gc; from tocsin.cli import main; main(); print(gc.get_threshold()[0] < 10_000)"
    command = [
        sys.executable,
        "-c",
        told,
        "demo",
        "--data",
        str(tmp_path / "demo"),
        "--seconds",
        "0.1",
        *FLEET,
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.splitlines()[-1] == "True"


@pytest.mark.long
def test_the_demo_finds_its_fault_and_a_second_start_has_lost_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was found stays, every episode is proved again, every byte is as written; Ctrl-C ends it well."""
    data = tmp_path / "demo"
    events, anomalies = until_line(data, "Anomaly  ")
    assert events == pytest.approx(3 * 2 * 1440, abs=10)
    assert anomalies >= 1
    assert ending(tocsin("demo", "--data", data, "--seconds", 1)) >= (events, anomalies)

    assert main(["explain", "all", "--data", str(data), "--json"]) == 0
    proved = json.loads(capsys.readouterr().out)
    assert proved["episodes"] >= 1
    assert proved["mismatches"] == []
    assert main(["replay", "--data", str(data), "--json"]) == 0
    replayed = json.loads(capsys.readouterr().out)
    assert (replayed["devices"], replayed["differing"]) == (3, {})


@pytest.mark.long
def test_what_is_found_in_dumps_is_in_the_inbox_and_a_second_start_sends_the_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An installed example finds the new line; it is proved again; no number is missing or twice."""
    assert set(DETECTORS) <= set(registry.names()), "make .venv/.examples installs them"
    data = tmp_path / "demo"
    assert until_line(data, "Anomaly  cell-0", MACHINE, lambda: has_sent_history(data))[1] >= 1
    before = dumps_of(data, capsys)

    again = tocsin("demo", "--data", data, "--seconds", 1, *MACHINE)
    ending(again)
    after = dumps_of(data, capsys)
    assert after[: len(before)] == before
    assert len(after) > len(before)
    assert f"dumps: {len(after)}" in again.stdout.splitlines()
    assert not any((data / "demo-dumps").rglob("*.zip"))

    assert main(["explain", "all", "--data", str(data)]) == 0
    assert re.search(
        r"matches: cell-0 controller, \d+ dumps derived again\n.*lost its reference", capsys.readouterr().out
    )


def has_sent_history(data: Path) -> bool:
    """At some hours another thing is found in a machine's history before the new line has come."""
    story = load_story(data / "demo-machines.json", MachineStory)
    return story is not None and story.made[0][1] >= story.first_ms


def dumps_of(data: Path, capsys: pytest.CaptureFixture[str]) -> list[tuple[int, str]]:
    """Number and hash of the machine's dumps: from 1 on, none missing, all of them good."""
    assert main(["dumps", "cell-0", "--data", str(data), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["missing"] == []
    assert {dump["state"] for dump in found["dumps"]} <= {"processed", "ready"}
    numbers = [dump["sequence"] for dump in found["dumps"]]
    assert numbers == list(range(1, len(numbers) + 1))
    return [(dump["sequence"], dump["sha256"]) for dump in found["dumps"]]


def test_a_dump_that_a_killed_demo_left_behind_is_sent_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """One whose number was saved goes out as it lies there; a torn one that was not is made anew.

    The device is listed, although it sends no readings.
    """
    application = Application(config_of(None, tmp_path, http_port=0))
    application.bootstrap_admin()
    with application:
        feed = MachineFeed(application, machines=1)
        machine = LiveMachines(feed.story.fleet, feed.story.first_ms, days=feed.story.days).machine(0)
        first = next(machine.until(feed.story.first_ms))
        write_dump(tmp_path / "demo-dumps", first)
        save_story(
            tmp_path / "demo-machines.json",
            msgspec.structs.replace(feed.story, made=((first.sequence, first.to_ms),)),
        )
        (tmp_path / "demo-dumps" / "cell-0" / "000002.zip").write_bytes(b"PK torn")
        with MachineFeed(application, machines=1) as feed:
            while feed.failure is None and len(placed(application)) < 10:
                application.wait(0.1)
        assert feed.failure is None
        wait_until_caught_up(application)
        (known,) = application.runtime.views.devices("default")
        assert (known.device, known.dumps) == ("cell-0", len(placed(application)))
        assert placed(application)[0] == hashlib.sha256(first.archive).hexdigest()
    dumps_of(tmp_path, capsys)


def placed(application: Application) -> list[str]:
    """The hashes of the machine's dumps that have come, in order."""
    found = application.runtime.views.dumps("default", "cell-0")
    return [] if found is None else [item.dump.sha256 for item in found.dumps]


def test_doctor_reads_everything_and_names_a_store_with_an_altered_bit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All is well until one bit of one stored record changes; then the exit code and the place say so."""
    fill(tmp_path)
    assert main(["doctor", "--data", str(tmp_path), "--json"]) == 0
    checked = {check["name"] for check in json.loads(capsys.readouterr().out)["checks"]}
    assert checked >= {"log", "commit", "checkpoints", "lake"}

    assert sum(alter(path) for path in (tmp_path / "log").glob("segment-*.db*")) >= 1
    assert main(["doctor", "--data", str(tmp_path), "--json"]) == 1
    bad = [check for check in json.loads(capsys.readouterr().out)["checks"] if not check["ok"]]
    assert bad
    assert all("segment" in check["detail"] and check["remedy"] for check in bad)


def alter(path: Path) -> bool:
    """Change one bit of a device's name in a stored batch; False if the file has none."""
    content = bytearray(path.read_bytes())
    at = content.find(b"station-1station-1")
    if at < 0:
        return False
    content[at + 3] ^= 1
    path.write_bytes(content)
    return True


def fill(data: Path, faults: Sequence[Fault] = (), *, hours: int = 1) -> None:
    """A folder with some hours of three stations, and nothing that runs on it."""
    application = Application(config_of(None, data, http_port=0))
    key = str(application.bootstrap_admin())
    with application:
        destination = Destination(url=application.server.url, token=key)
        simulator = Simulator(Fleet(stations=3), faults, 0)
        EventSender(destination).send([simulator.advance(hours * 3_600_000).batch])


def viewer_of(application: Application) -> str:
    """A key that may look at everything."""
    new = NewCredential(tenant="default", kind=CredentialKind.API_KEY, name="test", roles=(Role.OPERATOR,))
    return application.access.create(new, created_by="test")[1]


def test_a_running_server_explains_and_answers_like_its_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`explain`, `query` and `digest` give one answer, asked over HTTP or with the folder opened."""
    fill(tmp_path, [SHIFT], hours=48)
    commands = (["explain", "all"], ["digest"], ["query", "SELECT count(*) AS n FROM events"])
    offline = []
    for words in commands:
        assert main([*words, "--data", str(tmp_path), "--json"]) == 0
        offline.append(json.loads(capsys.readouterr().out))
    with Application(config_of(None, tmp_path, http_port=0)) as application:
        key = viewer_of(application)
        for words, expected in zip(commands, offline, strict=True):
            assert main([*words, "--url", application.server.url, "--token", key, "--json"]) == 0
            assert json.loads(capsys.readouterr().out) == expected
    assert offline[0]["episodes"] >= 1
    assert offline[0]["mismatches"] == []
    assert offline[2]["rows"][0][0] == offline[1]["counts"]["events"] == pytest.approx(3 * 48 * 60, abs=5)


def test_an_anomaly_is_explained_by_its_episodes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The id on a page is an anomaly's: folder and server take it, and find all that is behind it."""
    fill(tmp_path, [SHIFT], hours=48)
    with Application(config_of(None, tmp_path, http_port=0)) as application:
        wait_until_caught_up(application)
        url, key = application.server.url, viewer_of(application)
        found = ask(Destination(url=url, token=key), "GET", "/v1/anomalies")["anomalies"][0]
        assert main(["explain", found["id"], "--url", url, "--token", key, "--json"]) == 0
    asked = json.loads(capsys.readouterr().out)
    assert main(["explain", found["id"], "--data", str(tmp_path), "--json"]) == 0
    opened = json.loads(capsys.readouterr().out)
    assert asked == opened == {"episodes": len(found["episodes"]), "mismatches": []}


def test_mistakes_in_sql_end_alike_however_asked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder opened, its tables exported or the server asked: one code, one text, and views by name."""
    fill(tmp_path)
    wrong = "SELECT * FROM reading"
    said = [ended(["query", wrong, "--data", str(tmp_path)], capsys)]
    target = ["--out", str(tmp_path / "x.csv")]
    said += [ended(["lake", "export", "--sql", wrong, "--data", str(tmp_path), *target], capsys)]
    with Application(config_of(None, tmp_path, http_port=0)) as application:
        server = ["--url", application.server.url, "--token", viewer_of(application)]
        said += [ended(["query", wrong, *server], capsys)]
        assert ended(["query", "DROP TABLE events", *server], capsys)[0] == 2
        assert ended(["explain", "ep_none", *server], capsys)[1]["code"] == "not_found"
    codes, errors = zip(*said, strict=True)
    assert codes == (2, 2, 2)
    assert errors[0] == errors[1] == errors[2]
    assert errors[0]["code"] == "invalid_input"
    assert errors[0]["detail"].startswith("there is no view 'reading', perhaps readings; there are ")


def ended(words: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[int, dict[str, str]]:
    """Exit code and error of a command."""
    code = main([*words, "--json"])
    error: dict[str, str] = json.loads(capsys.readouterr().out)["error"]
    return code, error


def test_a_folder_in_use_is_told_with_the_way_to_ask(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """While a server runs, `explain` names the whole command that works, without any secret in it."""
    with Application(config_of(None, tmp_path, http_port=0)) as application:
        code, error = ended(["explain", "an_1", "--data", str(tmp_path)], capsys)
    assert code == 3
    assert application.server.port != 8765
    asked = f'tocsin explain an_1 --url {application.server.url} --token "$TOCSIN_TOKEN"'
    assert asked in error["detail"]


def test_exports_begin_with_a_look_at_the_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An ending that says no format is wrong usage, for `lake export` and `query --out`, whatever the SQL."""
    out = ["--out", str(tmp_path / "r.xls"), "--data", str(tmp_path / "none")]
    for words in (["lake", "export", *out], ["query", "nonsense", *out]):
        code, error = ended(words, capsys)
        assert code == 2
        assert error["detail"] == (
            "r.xls ends in .xls, which is no format that can be written: use .parquet, .csv, .ndjson"
        )


def test_query_and_export_write_all_rows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`query --out` has what the log accepted, `lake export` what the lake holds: all of it after a stop."""
    fill(tmp_path)
    out = ["--data", str(tmp_path), "--json", "--out"]
    assert main(["query", "SELECT * FROM readings", *out, str(tmp_path / "q.parquet")]) == 0
    assert main(["lake", "export", *out, str(tmp_path / "e.PARQUET")]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    queried, exported = (pq.read_table(tmp_path / name) for name in ("q.parquet", "e.PARQUET"))
    assert queried.num_rows == said[0]["rows_written"] == said[1]["rows"] == exported.num_rows > 0


@pytest.mark.parametrize(
    "words", [["explain", "all"], ["replay"], ["digest"], ["query", "SELECT 1"], ["lake"]]
)
def test_who_asks_about_a_folder_that_is_none_is_told(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A mistyped folder is an error, and is not made."""
    missing = tmp_path / "mistyped"
    assert main([*words, "--data", str(missing)]) == 2
    assert str(missing) in capsys.readouterr().err
    assert not missing.exists()
