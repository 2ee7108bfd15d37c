"""The tools of the proof themselves: they end when they should, and say what they lack."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from proof.subject.client import Client, GivenUpError, Sending
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


@pytest.mark.parametrize("words", [["--data", "missing.csv"], ["--data", "."]])
def test_torture_says_which_file_it_lacks(words: list[str], tmp_path: Path) -> None:
    """Before anything is simulated or started, and with what to do."""
    command = [sys.executable, str(ROOT / "scripts" / "torture.py"), *words]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert f"{words[1]} is no file: name a .parquet, .csv or .ndjson of events with DATA=FILE" in done.stderr
    assert "Traceback" not in done.stderr
