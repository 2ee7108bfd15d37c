"""The tools of the proof themselves: they end when they should, and say what they lack."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from proof.subject.client import Client, GivenUpError, Sending
from proof.subject.patience import REFUSED, Patience
from proof.subject.traffic import Body
from tocsin.testing import free_port

ROOT = Path(__file__).parents[2]


def test_senders_end_with_the_run_that_has_failed() -> None:
    """They leave the port of a dead server alone: another server may get it, and is owed nothing of this."""
    client = Client(f"http://127.0.0.1:{free_port()}", lambda: "key", None)
    bodies = [Body(producer="p", sequence=str(number), payload=b"{}\n") for number in range(3)]
    sending = Sending([(client, bodies)])
    assert sending.alive()
    ending = threading.Thread(target=sending.end, daemon=True)
    ending.start()
    ending.join(30)
    assert not ending.is_alive()
    assert not sending.alive()
    with pytest.raises(GivenUpError, match="p/0"):
        sending.join()


class Hours:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.slept: list[float] = []

    def sleep(self, pause_s: float) -> None:
        self.slept.append(pause_s)
        self.now_s += pause_s


def patience(hours: Hours) -> Patience:
    return Patience(10.0, 1000.0, sleep=hours.sleep, now_s=lambda: hours.now_s)


def test_a_sender_bears_a_server_that_is_away_longer_than_one_that_refuses() -> None:
    """A killed server needs its time to start, and what each of the others said is told in the end."""
    hours = Hours()
    sender = patience(hours)
    for _ in range(200):
        sender.wait(REFUSED, {}, "nobody")
    assert sender.lasts()
    while sender.lasts():
        sender.wait(503, {}, "full")
    assert hours.now_s == pytest.approx(30.0, abs=0.1)
    assert "-1: 200, 503: 50" in str(sender)
    assert str(sender).endswith("full")
    away = patience(hours)
    while away.lasts():
        away.wait(REFUSED, {}, "nobody")
    assert hours.now_s == pytest.approx(1030.0, abs=0.2)


def test_a_sender_waits_as_long_as_it_is_asked_to() -> None:
    """As a device does; not for ever."""
    hours = Hours()
    sender = patience(hours)
    sender.wait(503, {"retry-after": "2"}, "")
    sender.wait(503, {"retry-after": "3600"}, "")
    assert hours.slept == [2.0, 5.0]


@pytest.mark.parametrize("words", [["--data", "missing.csv"], ["--data", "."]])
def test_torture_says_which_file_it_lacks(words: list[str], tmp_path: Path) -> None:
    """Before anything is simulated or started, and with what to do."""
    command = [sys.executable, str(ROOT / "scripts" / "torture.py"), *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{words[1]} is no file: name a .parquet, .csv or .ndjson of events with DATA=FILE" in done.stderr
    assert "Traceback" not in done.stderr
