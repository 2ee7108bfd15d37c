"""What must hold of any running server, whatever happens: conservation, and verdicts as in a backtest."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from proof.subject.client import Client
from tocsin.testing import COMMAND, Server

STATUSES: Final = (
    "scored",
    "duplicate",
    "conflict",
    "late",
    "unscored_text",
    "unscored_clock",
    "unscored_quarantined",
    "pending",
)
DIGESTS: Final = ("digest_raw", "digest_final")
_LINES: Final = "tocsin_ingest_lines_total"


@dataclass(frozen=True, slots=True)
class Heard:
    """What senders were told of events: accepted ones, and those of bodies whose answer was never heard."""

    accepted: int
    unanswered: int = 0


def conservation_error(counts: Mapping[str, int], heard: Heard) -> int:
    """By how much the sums of one tenant are off: readings by status, and events by what senders heard.

    >>> conservation_error({"events": 2, "accepted": 6, "scored": 4, "late": 1}, Heard(accepted=3))
    2
    >>> conservation_error({"events": 2, "accepted": 6, "scored": 6}, Heard(accepted=1, unanswered=5))
    0
    """
    readings = abs(counts.get("accepted", 0) - sum(counts.get(status, 0) for status in STATUSES))
    more = counts.get("events", 0) - heard.accepted
    return readings + max(0, -more) + max(0, more - heard.unanswered)


def lines_error(lines: Mapping[str, int]) -> int:
    """By how many lines received differs from accepted + rejected + repeated.

    >>> lines_error({"received": 9, "accepted": 5, "rejected": 3, "repeated": 1})
    0
    """
    return abs(lines["received"] - lines["accepted"] - lines["rejected"] - lines["repeated"])


def lines_of(server: Server) -> dict[str, int]:
    """Lines by outcome since the server's start; none yet is 0."""
    client = Client(server.url, lambda: server.key, None)
    _, text = client.ask("GET", "/metrics", b"", {})
    client.close()
    found = dict.fromkeys(("received", "accepted", "rejected", "repeated"), 0)
    for line in text.splitlines():
        for outcome in found:
            if line.startswith(f'{_LINES}{{outcome="{outcome}"}} '):
                found[outcome] = int(float(line.rpartition(" ")[2]))
    return found


def make_tenant(server: Server, name: str) -> str:
    """A tenant; its first admin key."""
    return str(_post(server, server.key, "/v1/tenants", {"name": name})["token"])


def make_gateway(server: Server, admin: str, name: str) -> str:
    """The token of a gateway that speaks for all devices of the admin's tenant."""
    wanted = {"kind": "gateway", "name": name, "all_devices": True}
    return str(_post(server, admin, "/v1/credentials", wanted)["token"])


def make_device(server: Server, admin: str, name: str) -> str:
    """The token of one device."""
    return str(
        _post(server, admin, "/v1/credentials", {"kind": "device", "name": name, "devices": [name]})["token"]
    )


def settled_digest(server: Server, admin: str, timeout_s: float = 600) -> dict[str, Any]:
    """A tenant's digests once all is processed and every correction has run."""
    key, server.key = server.key, admin
    try:
        return server.digest(timeout_s)
    finally:
        server.key = key


def backtest(file: Path) -> dict[str, Any]:
    """The summary of a backtest of NDJSON events, as of the tenant `default`."""
    with TemporaryDirectory(prefix="tocsin-backtest-") as folder:
        command = [str(COMMAND), "backtest", str(file), "--out", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        summary: dict[str, Any] = json.loads((Path(folder) / "summary.json").read_text())
    return summary


def _post(server: Server, token: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """A plain client: an HTTP library's start would cost more than the answer, ten thousand times."""
    client = Client(server.url, lambda: token, None)
    headers = {"Content-Type": "application/json"}
    while (said := client.ask("POST", path, json.dumps(body).encode(), headers))[0] == 429:
        time.sleep(0.5)
    client.close()
    status, text = said
    if status != 201:
        raise RuntimeError(f"{path} gave {status}: {text[:500]}")
    found: dict[str, Any] = json.loads(text)
    return found
