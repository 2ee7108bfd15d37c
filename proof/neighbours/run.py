"""One run: a server, the calm group, and each neighbour in turn, let loose and called back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from proof.laws import (
    DIGESTS,
    Heard,
    backtest,
    conservation_error,
    lines_error,
    lines_of,
    make_device,
    make_gateway,
    make_tenant,
    settled_digest,
)
from proof.neighbours.calm import GATEWAYS, CalmGroup, make_bodies
from proof.neighbours.hostile import name_of
from proof.neighbours.phases import Compared, Span, compare
from tocsin.testing import Server

_WARM_UP_S: Final = 5.0
_SETTLE_S_MAX: Final = 60.0
_QUIET_S: Final = 1.0
_NICE: Final = "10"
_PHASE_S_WANTED: Final = 8.0
_CREDENTIALS: Final = {"names": 1, "flood": 4, "trickle": 1, "clock": 1, "nobody": 1}


@dataclass(frozen=True, slots=True)
class Felt:
    """How one neighbour was felt, and what it was told itself."""

    compared: Compared
    told: dict[str, Any]


def measure(
    names: Sequence[str],
    *,
    seconds: float,
    devices: int,
    bodies_per_s: float,
    seed: int,
    settings: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """The whole run; its findings. `settings` are the server's, where they are not the usual ones."""
    with TemporaryDirectory(prefix="tocsin-neighbours-") as folder:
        data = Path(folder)
        longest_s = 2 * seconds + len(names) * _SETTLE_S_MAX + devices / 50 + 120
        bodies = make_bodies(data, round(longest_s * bodies_per_s), seed)
        with Server(data / "data", settings) as server:
            calm = [make_gateway(server, server.key, f"calm-{number}") for number in range(GATEWAYS)]
            group = CalmGroup(server.url, calm, bodies, bodies_per_s)
            admins = {name: make_tenant(server, f"rough-{name}") for name in names}
            tokens = {name: _tokens(server, admins[name], name, devices) for name in names}
            group.start()
            time.sleep(_WARM_UP_S)
            felt = {
                name: _felt(server, group, name, tokens[name], devices, seconds / len(names))
                for name in names
            }
            group.stop()
            group.write_sent(data / "sent.ndjson")
            return _findings(server, group, felt, admins, backtest(data / "sent.ndjson"))


def _tokens(server: Server, admin: str, name: str, devices: int) -> list[str]:
    """The neighbour's credentials: one for each device that restarts, else few for all devices."""
    if name != "restart":
        return [make_gateway(server, admin, f"{name}-{number}") for number in range(_CREDENTIALS[name])]
    _say(f"making credentials for {devices} devices")
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda number: make_device(server, admin, name_of(number)), range(devices)))
    _say("made")
    return tokens


def _felt(
    server: Server, group: CalmGroup, name: str, tokens: list[str], devices: int, share_s: float
) -> Felt:
    """Let the neighbour loose and call it back in turns, for `share_s` together."""
    turns = max(1, round(share_s / 2 / _PHASE_S_WANTED))
    phase_s = share_s / 2 / turns
    spans: list[Span] = []
    told: dict[str, Any] = {}
    with _neighbour(name, server, tokens, devices) as process:
        for _ in range(turns):
            spans.append(_span(phase_s, hostile=False))
            _command(process, "on")
            spans.append(_span(phase_s, hostile=True))
            _command(process, "off")
            told = json.loads(process.stdout.readline() if process.stdout else "")
            group.check()
            _settle(server)
    felt = Felt(compare(group.answered(), spans), told)
    _say(f"{name}: {felt.compared}, ratio {felt.compared.ratio:.2f}; told {told}")
    return felt


def _span(phase_s: float, *, hostile: bool) -> Span:
    start_s = time.monotonic()
    time.sleep(phase_s)
    return Span(start_s, time.monotonic(), hostile)


def _settle(server: Server) -> None:
    """Wait until what the neighbour left behind is processed, so that the next calm is calm."""
    end_s = time.monotonic() + _SETTLE_S_MAX
    while server.metric("tocsin_processor_lag") > 100 and time.monotonic() < end_s:
        time.sleep(0.2)
    time.sleep(_QUIET_S)


@contextmanager
def _neighbour(name: str, server: Server, tokens: list[str], devices: int) -> Iterator[subprocess.Popen[str]]:
    """Its process, with a low priority: elsewhere it would use another machine's cores."""
    command = ["nice", "-n", _NICE, sys.executable, "-m", "proof.neighbours.hostile", name]
    root = Path(__file__).resolve().parents[2]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root, env=dict(os.environ)
    )
    try:
        _command(process, json.dumps({"url": server.url, "tokens": tokens, "devices": devices}))
        if process.stdout is None or process.stdout.readline() != "ready\n":
            raise RuntimeError(f"the neighbour {name} did not start")
        yield process
    finally:
        process.kill()
        process.communicate()


def _command(process: subprocess.Popen[str], line: str) -> None:
    assert process.stdin is not None
    process.stdin.write(line + "\n")
    process.stdin.flush()


def _findings(
    server: Server, group: CalmGroup, felt: dict[str, Felt], admins: dict[str, str], expected: dict[str, Any]
) -> dict[str, Any]:
    own = settled_digest(server, server.key)
    error = lines_error(lines_of(server)) + conservation_error(own["counts"], group.heard())
    for name, each in felt.items():
        counts = settled_digest(server, admins[name])["counts"]
        error += conservation_error(counts, Heard(each.told["accepted"], each.told["unanswered"]))
    rows = {name: _row(each) for name, each in felt.items()}
    hostile = [row["ratio"] for name, row in rows.items() if name != "nobody"]
    return {
        "neighbour_p99_ratio": max(hostile, default=None),
        "noise_p99_ratio": rows["nobody"]["ratio"] if "nobody" in rows else None,
        "verdicts_same": all(own[name] == expected[name] for name in DIGESTS)
        and own["counts"]["accepted"] == expected["counts"]["accepted"],
        "conservation_error": error,
        "calm_events": own["counts"]["events"],
        "calm_statuses": group.statuses(),
        "episodes": expected["episodes"],
        "neighbours": rows,
    }


def _row(felt: Felt) -> dict[str, Any]:
    compared = felt.compared
    return {
        "ratio": round(compared.ratio, 2),
        "calm_ms_p99": round(compared.calm_ms_p99, 1),
        "hostile_ms_p99": round(compared.hostile_ms_p99, 1),
        "calm_ms_p50": round(compared.calm_ms_p50, 1),
        "hostile_ms_p50": round(compared.hostile_ms_p50, 1),
        "requests": compared.requests,
        "told": felt.told,
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
