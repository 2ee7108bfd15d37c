"""A process that is killed at its calls, or whose disk fails, comes to what an undisturbed one comes to."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

import pytest

from proof.shim.event import Kind
from proof.subject.client import Client, Sending
from proof.subject.expected import expected_of
from proof.subject.life import config_of
from proof.subject.promise import Notary
from proof.subject.server import ROOT, RecordedServer
from proof.subject.traffic import bodies

pytestmark = [pytest.mark.services, pytest.mark.long]

READ_ONLY: Final = (
    *(Kind.CREATE, Kind.WRITE, Kind.TRUNCATE, Kind.RENAME, Kind.UNLINK, Kind.MKDIR, Kind.RMDIR, Kind.LINK),
    Kind.ASK,
)


def run(*words: str) -> tuple[int, dict[str, Any], str]:
    """A proof in a process of its own: exit code, the JSON of its last line, what it complained of."""
    command = [sys.executable, "-m", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    return done.returncode, json.loads(done.stdout.splitlines()[-1]), done.stderr[-4000:]


def test_kills_and_failing_disks_change_nothing() -> None:
    """Killed before calls of every kind, with failing syncs, a full disk, too few files: the same digests."""
    code, figures, words = run("proof.kills", "--seconds", "120", "--seed", "7")
    assert code == 0, words
    assert figures["kill_points"] >= 10
    assert figures["kill_failures"] == 0
    assert sum(figures["disk_faults"].values()) >= 2


def test_kills_notice_an_answer_before_the_commit() -> None:
    """The proof works: what was answered too early is missed."""
    code, figures, words = run(
        "proof.kills", "--seconds", "300", "--seed", "7", "--plant", "acknowledge_before_commit"
    )
    assert code == 0, words
    assert figures["kill_failures"] > 0


@pytest.mark.parametrize("plant", ["feedback_answered_before_logged", "window_answered_before_logged"])
def test_kills_notice_what_people_were_told_too_early(plant: str) -> None:
    """Killed while people act, at the end of a run, what was answered and not logged is missed."""
    words = ("--seconds", "300", "--last", "400", "--seed", "7", "--plant", plant)
    code, figures, complaints = run("proof.kills", *words)
    assert code == 0, complaints
    assert figures["kill_failures"] > 0


def test_flipped_bits_are_harmless_or_named() -> None:
    """In whatever file: nothing else is read or judged without somebody saying so."""
    code, figures, words = run("proof.corruption", "--seconds", "90", "--seed", "7")
    assert code == 0, words
    assert figures["corruption_named"] > 5


def test_a_disk_that_turns_read_only_acknowledges_nothing(tmp_path: Path) -> None:
    """Not ready, and each body is refused; once the disk is well again all goes on, nothing is missing."""
    sent = list(bodies("north", 5, steps=24, devices=3))
    server = RecordedServer(tmp_path)
    server.start()
    client = Client(server.url, lambda: server.key, Notary(server.trace))
    for body in sent[:4]:
        client.deliver(body)
    server.control.fail(READ_ONLY, errno.EROFS)
    refused = [
        client.ask("POST", "/v1/events", body.payload, {"Content-Type": "application/x-ndjson"})
        for body in sent[4:]
    ]
    assert [(status, json.loads(answer)["code"]) for status, answer in refused] == [
        (503, "storage_unavailable")
    ] * len(sent[4:])
    status, answer = client.ask("GET", "/readyz", b"", {})
    assert (status, "can't be written" in answer) == (503, True)
    assert server.alive()
    server.control.heal()
    for body in sent[4:]:
        client.deliver(body)
    found = server.digest(60)
    assert server.stop() == 0
    digests, accepted = expected_of(sent, tmp_path, config_of(tmp_path / "none"))
    assert (found["digest_raw"], found["digest_final"]) == (digests["raw"], digests["final"])
    assert found["counts"]["accepted"] == accepted


def test_a_process_that_stood_still_goes_on_and_nobody_takes_its_place(tmp_path: Path) -> None:
    """Stopped in its work, it keeps its folder from others, and then goes on as if nothing had been."""
    sent = {producer: list(bodies(producer, 3, steps=24, devices=3)) for producer in ("north", "south")}
    server = RecordedServer(tmp_path)
    server.start()
    notary = Notary(server.trace)
    sending = Sending(
        [(Client(server.url, lambda: server.key, notary), own) for own in sent.values()], pause_s=0.05
    )
    time.sleep(0.3)
    os.kill(server.pid, signal.SIGSTOP)
    second = subprocess.run(
        [sys.executable, "-m", "proof.subject"],
        env=server.environment() | {"PROOF_FOLDER": "", "TOCSIN_HTTP__PORT": "0"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    os.kill(server.pid, signal.SIGCONT)
    assert second.returncode != 0
    assert "in use by another Tocsin" in second.stdout + second.stderr
    sending.join()
    found = server.digest(60)
    server.stop()
    digests, accepted = expected_of(
        [body for own in sent.values() for body in own], tmp_path, config_of(tmp_path / "none")
    )
    assert (found["digest_raw"], found["digest_final"]) == (digests["raw"], digests["final"])
    assert found["counts"]["accepted"] == accepted
