"""A device whose dumps are no logs, beside one whose are: what is found at the other is as without it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, Final

import pytest

from benchmarks.sending_dumps import DumpSender
from proof.laws import make_tenant
from tests.integration.test_dump_findings import settled, wait_until
from tests.log_kit import HOUR_MS, START_MS, log, startup, usual
from tests.unit.test_noisy_logs import exclaimed
from tocsin.dumps.writing import write_archive
from tocsin.testing import Server

pytestmark = pytest.mark.services  # two servers, and workers that compile

SETTINGS: Final = {"TOCSIN_WATCH__DUMP_DETECTORS": '{"logs": {"config": {"learn_h": 6}}}'}
HOURS: Final = 12
NOISES: Final = {
    "random": ({"core.bin": random.Random(1).randbytes(1 << 20)}, {"no_log"}),
    "templates": (
        {f"{n}.log": exclaimed(range(200 * n, 200 * n + 200)) for n in range(5)},
        {"table_full"},
    ),
    "line": ({"trace.log": random.Random(2).randbytes(5 << 20).hex().encode()}, {"long_line"}),
}
"""What a noisy device sends, and what tells it apart."""


def calm(number: int) -> bytes:
    """An hour of the engine, which fails from the eighth on."""
    rng = random.Random(number)
    rows = usual(number, rng) + startup(1000)
    if number >= 8:
        rows += [(at * 100_000, f"ERROR axis X lost its reference at {at}.5 mm") for at in range(20)]
    return write_archive([("engine/engine.log", log(START_MS + number * HOUR_MS, rows))])


def send(sender: DumpSender, device: str, number: int, archive: bytes) -> None:
    begin_ms = START_MS + number * HOUR_MS
    sender.send(device, number, archive, begin_ms, begin_ms + HOUR_MS)


def of_tenant(server: Server, key: str) -> DumpSender:
    sender = DumpSender(server)
    sender.http.headers["Authorization"] = f"Bearer {key}"
    return sender


def digests(sender: DumpSender) -> dict[str, Any]:
    answer: dict[str, Any] = sender.http.get("/v1/digest").raise_for_status().json()
    return {name: value for name, value in answer.items() if name.startswith("digest")}


def test_a_noisy_device_changes_nothing_for_others(tmp_path: Path) -> None:
    """Neither for a device of its own tenant, by what is found, nor for another tenant, by digests.

    Each noisy device has an episode of its own that says what it sends.
    """
    with Server(tmp_path / "alone", SETTINGS) as server:
        sender = DumpSender(server)
        for number in range(1, HOURS + 1):
            send(sender, "press-1", number, calm(number))
        settled(server)
        alone, expected = sender.found("press-1"), digests(sender)
    assert {each["reason"] for each in alone} == {"new_template"}
    with Server(tmp_path / "beside", SETTINGS) as server:
        quiet, rough = DumpSender(server), of_tenant(server, make_tenant(server, "rough"))
        for number in range(1, HOURS + 1):
            for name, (members, _) in NOISES.items():
                send(rough, name, number, write_archive(members.items()))
            send(quiet, "press-1", number, calm(number))
            send(rough, "press-1", number, calm(number))
        settled(server)
        wait_until(lambda: bool(rough.http.get("/v1/digest").raise_for_status().json()["caught_up"]))
        assert quiet.found("press-1") == alone
        assert digests(quiet) == expected
        assert rough.found("press-1") == alone
        for name, (_, codes) in NOISES.items():
            assert codes <= {each["reason"] for each in rough.found(name)}
