"""The command line as people and programs use it: output, exit codes, errors, speed of help."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from tocsin import __version__
from tocsin.bootstrap import Application
from tocsin.cli.app import main
from tocsin.cli.opened import config_of

HEAVY = ("numpy", "numba", "pyarrow", "polars", "duckdb", "httpx", "fastapi", "apsw")


def run(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of one command."""
    code = main([str(word) for word in words])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def last_json(out: str) -> dict[str, Any]:
    """The object that machines read: the last line."""
    result: dict[str, Any] = json.loads(out.splitlines()[-1])
    return result


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A day of one device with an hour far off."""
    values = [20.0 + (n * 7 % 13) / 10 + (30.0 if 1300 <= n < 1360 else 0.0) for n in range(1440)]
    frame = pl.DataFrame(
        {"device": "pump", "ts": [1_700_000_000_000 + n * 60_000 for n in range(1440)], "t": values}
    )
    frame.write_parquet(tmp_path / "day.parquet")
    return tmp_path / "day.parquet"


def test_help_is_quick_because_nothing_heavy_is_imported() -> None:
    """Whoever only asks for help waits for no numerics, database or web framework."""
    code = (
        "import sys; from tocsin.cli import main; main(['--help']);"
        f"sys.exit(bool([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, [name for name in HEAVY if name in done.stdout]
    assert time.monotonic() - began < 5  # 0.2 s on an idle machine


def test_a_command_that_reads_a_folder_imports_no_web_interface(tmp_path: Path) -> None:
    """It answers nobody, so it does not wait for the models of hundreds of answers."""
    with Application(config_of(None, tmp_path, http_port=0)):
        pass
    code = (
        f"import sys; from tocsin.cli import main; code = main(['digest', '--data', {str(tmp_path)!r}]);"
        "sys.exit(code or any(name in sys.modules for name in ('fastapi', 'tocsin.api', 'tocsin.web')))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=False).returncode == 0


def test_version_says_what_results_depend_on(capsys: pytest.CaptureFixture[str]) -> None:
    """Tocsin's own version first, then those of the packages; `--version` is the short form."""
    assert run(capsys, "--version") == (0, f"tocsin {__version__}\n", "")
    code, out, _ = run(capsys, "version", "--json")
    assert code == 0
    assert last_json(out)["tocsin"] == __version__
    assert set(last_json(out)["packages"]) >= {"apsw", "numpy", "tzdata"}


@pytest.mark.parametrize("words", [[], ["nonsense"], ["simulate"], ["simulate", "--days", "x"], ["ingest"]])
def test_wrong_usage_ends_with_2_and_says_how_to_get_help(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    """No traceback, nothing on stdout that a program could take for a result."""
    code, out, err = run(capsys, *words)
    assert code == 2
    assert "Usage: tocsin" in err + out
    assert "Traceback" not in err


def test_wrong_input_is_one_line_with_code_and_remedy(
    capsys: pytest.CaptureFixture[str], table: Path
) -> None:
    """People get a line, machines the same as an object."""
    words = ["backtest", table, "--out", table.parent / "out", "--device-column", "nope", "--json"]
    code, out, err = run(capsys, *words)
    assert code == 2
    assert err == "tocsin: invalid_input: no column 'nope'; there are device, ts, t\n"
    assert last_json(out)["error"] == {
        "code": "invalid_input",
        "detail": "no column 'nope'; there are device, ts, t",
        "field": "device_column",
    }


def test_an_unexpected_error_shows_its_traceback_only_when_asked(
    capsys: pytest.CaptureFixture[str], table: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug is one line and exit code 1; with --debug, wherever it stands, the place is shown."""

    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("tocsin.files.open_events", broken)
    code, _, err = run(capsys, "backtest", table, "--out", table.parent)
    assert (code, err.count("\n")) == (1, 1)
    assert "RuntimeError: a bug; run again with --debug" in err
    with pytest.raises(RuntimeError, match="a bug"):
        run(capsys, "backtest", table, "--out", table.parent, "--debug")


def test_an_absent_server_ends_with_3(capsys: pytest.CaptureFixture[str]) -> None:
    """Scripts can tell "try later" from "wrong"."""
    for words in (["digest"], ["query", "SELECT 1"]):
        code, _, err = run(capsys, *words, "--url", "http://127.0.0.1:9", "--token", "t")
        assert code == 3
        assert err.startswith("tocsin: unavailable: ")


def test_a_server_without_tls_is_told_when_it_is_asked_with_it(capsys: pytest.CaptureFixture[str]) -> None:
    """What the library says of it, a wrong version number, leads nobody to the address."""
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def answer() -> None:
            connection, _ = plain.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        answering = threading.Thread(target=answer)
        answering.start()
        url = f"https://127.0.0.1:{plain.getsockname()[1]}"
        code, _, err = run(capsys, "anomalies", "--url", url, "--token", "tcs_a_b")
        answering.join()
    assert code == 3
    assert err.endswith("it speaks no TLS: write its address with http://\n")


@pytest.mark.parametrize("command", ["ingest", "simulate", "query", "digest", "explain"])
def test_a_server_that_can_never_answer_is_not_asked(
    capsys: pytest.CaptureFixture[str], table: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A missing credential and an address that is none are told at once, with what to write instead."""
    monkeypatch.delenv("TOCSIN_TOKEN", raising=False)
    arguments: dict[str, list[object]] = {"ingest": [table], "query": ["SELECT 1"], "explain": ["all"]}
    words = [command, *arguments.get(command, [])]
    code, _, err = run(capsys, *words, "--url", "http://127.0.0.1:9")
    assert (code, err) == (
        2,
        "tocsin: invalid_input: no credential: set TOCSIN_TOKEN, or name one with --token\n",
    )
    for url in ("localhost:8765", "http://", "ftp://127.0.0.1", "http://127.0.0.1:port"):
        code, _, err = run(capsys, *words, "--url", url, "--token", "t")
        assert code == 2
        assert f"{url!r} is no address of a server: write it like http://127.0.0.1:8765" in err


@pytest.mark.parametrize("token", ["two words", "t\n", "“quoted”"])
def test_a_credential_that_no_header_can_carry_is_told(
    capsys: pytest.CaptureFixture[str], token: str
) -> None:
    """What was copied badly is not taken for a server that is away, nor shown again."""
    code, _, err = run(capsys, "digest", "--url", "http://127.0.0.1:9", "--token", token)
    assert code == 2
    assert "copy it again" in err
    assert token not in err


def test_simulate_is_reproducible_and_writes_labels(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The same seed gives the same bytes; labels lie beside the file."""
    for name in ("a", "b"):
        words = ["--stations", 3, "--days", 3, "--fault-free-days", 1, "--seed", 5, "--faults", "all"]
        code, out, _ = run(capsys, "simulate", *words, "--out", tmp_path / f"{name}.ndjson", "--json")
        assert code == 0
        assert last_json(out)["events"] == len((tmp_path / f"{name}.ndjson").read_text().splitlines())
    assert (tmp_path / "a.ndjson").read_bytes() == (tmp_path / "b.ndjson").read_bytes()
    labels = [json.loads(line) for line in (tmp_path / "a.labels.ndjson").read_text().splitlines()]
    assert len(labels) == last_json(out)["faults"] > 5
    assert set(labels[0]) == {"device", "parameter", "kind", "from_ms", "to_ms"}


def test_a_described_fleet_is_simulated(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """YAML gives stations and quantities; what is misspelt is refused."""
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text(
        "stations: 2\ninterval_s: 600\nquantities:\n  - {name: flow, mean: 3.5, deviation: 0.2}\n"
    )
    out = tmp_path / "x.csv"
    assert run(capsys, "simulate", "--fleet", fleet, "--days", 1, "--out", out)[0] == 0
    assert pl.read_csv(out).columns == ["device", "ts", "flow"]
    fleet.write_text("statoins: 2\n")
    code, _, err = run(capsys, "simulate", "--fleet", fleet, "--days", 1, "--out", out)
    assert code == 2
    assert "statoins" in err


def test_backtest_writes_verdicts_anomalies_and_summary(
    capsys: pytest.CaptureFixture[str], table: Path
) -> None:
    """The hour far off is found, and every reading has a verdict of every detector, in input order."""
    folder = table.parent / "out"
    code, out, err = run(capsys, "backtest", table, "--out", folder, "--json")
    assert code == 0
    assert "parameters: t" in err
    summary = json.loads((folder / "summary.json").read_text())
    assert last_json(out)["digest_final"] == summary["digest_final"]
    assert summary["counts"]["scored"] == 1440
    verdicts = pl.read_parquet(folder / "verdicts.parquet")
    seasonal = verdicts.filter(pl.col("detector") == "seasonal")
    assert seasonal["ts"].dt.epoch("ms").to_list() == pl.read_parquet(table)["ts"].to_list()
    assert len([*(folder / "anomalies.ndjson").open()]) == summary["anomalies"] >= 1


def test_backtest_results_do_not_depend_on_batches_and_partitions(
    capsys: pytest.CaptureFixture[str], table: Path
) -> None:
    """However the file is cut, the digests are the same."""
    digests = set()
    for rows, partitions in ((97, 1), (100_000, 1), (1000, 16)):
        words = ["--batch-rows", rows, "--partitions", partitions, "--json"]
        _, out, _ = run(capsys, "backtest", table, "--out", table.parent / "out", *words)
        digests.add((last_json(out)["digest_raw"], last_json(out)["digest_final"]))
    assert len(digests) == 1


def test_backtest_runs_one_detector_when_asked(capsys: pytest.CaptureFixture[str], table: Path) -> None:
    """An unknown one is refused with those that there are."""
    words = ["backtest", table, "--out", table.parent / "out", "--detector"]
    assert run(capsys, *words, "health")[0] == 0
    assert set(pl.read_parquet(table.parent / "out" / "verdicts.parquet")["detector"].unique()) == {"health"}
    code, _, err = run(capsys, *words, "crystal-ball")
    assert code == 2
    assert "seasonal" in err


def test_print_config_shows_what_is_in_force(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """Options win over the defaults, and nothing is started."""
    code, out, _ = run(capsys, "serve", "--print-config", "--data", tmp_path / "d", "--port", 1234)
    assert code == 0
    assert "port: 1234" in out
    assert not (tmp_path / "d").exists()


def test_refused_rows_are_told_with_their_numbers(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The first five of each reason, and a cell to look for; row 1 is the one below the header."""
    cells = ["1.5", "#DIV/0!", *(["1.6"] * 8), *(["#REF!"] * 5), *(["1.7"] * 9)]
    rows = "".join(f"a,{1_700_049_600_000 + i},{cell}\n" for i, cell in enumerate(cells))
    (tmp_path / "s.csv").write_text(f"device,ts,t\n{rows}b,never,1.5\n")
    code, _, err = run(capsys, "backtest", tmp_path / "s.csv", "--out", tmp_path / "out")
    assert code == 0
    assert "refused as not_a_number: row 2, 11, 12, 13, 14 and 1 other, such as '#DIV/0!' in 't'\n" in err
    assert "refused as time_invalid: row 25, such as 'never' in 'ts'\n" in err


def test_times_that_can_hardly_be_meant_are_warned_of_to_people_and_machines(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Readings of 1970 are what nobody has; a unit that was found out is no warning."""
    (tmp_path / "s.csv").write_text("Device,Timestamp,t\npump,1700000000,1.5\npump,1700000060,1.6\n")
    words = ("backtest", tmp_path / "s.csv", "--out", tmp_path / "out", "--json")
    _, out, err = run(capsys, *words, "--time-unit", "ms")
    assert "tocsin: warning: 2 of the first 2 times in 'Timestamp' lie before 2000" in err
    assert len(last_json(out)["warnings"]) == 1
    _, out, err = run(capsys, *words)
    assert "have the size of seconds since 1970" in err
    assert (last_json(out)["warnings"], last_json(out)["events"]) == ([], 2)
