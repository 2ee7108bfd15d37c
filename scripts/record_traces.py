"""`python scripts/record_traces.py` records the traces that docs/explanation/traces.md shows, anew.

A server in this process answers a technician's list and resolves an anomaly; OpenTelemetry's exporter writes
the spans, `tocsin trace` makes picture, spans and table of the fastest trace of each request.
"""

from __future__ import annotations

import contextlib
import io
import re
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import httpx

from tocsin.bootstrap import Application
from tocsin.cli.app import main
from tocsin.clock import SystemClock
from tocsin.config import Config
from tocsin.simulate.directory.mapping import SimulatedMapping
from tocsin.simulate.directory.server import SimulatedDirectoryServer
from tocsin.simulate.directory.service import SimulatedService

SHOWN: Final = {
    "trace-list": "GET /v1/technicians/{technician_id}/anomalies",
    "trace-resolve": "POST /v1/anomalies/{anomaly_id}/{action}",
}
"""By the name of the files: the request."""
_DOCS: Final = Path(__file__).parents[1] / "docs"
_ASSETS: Final = _DOCS / "assets"
PAGE: Final = _DOCS / "explanation" / "traces.md"
_DEVICE: Final = "pump-7"
AGAIN: Final = 20
_PATIENCE_S: Final = 120.0


def record(folder: Path) -> Path:
    """A file with the spans of both requests, several times."""
    mapping = SimulatedMapping([_DEVICE], 1)
    service = SimulatedService(mapping, SystemClock())
    with SimulatedDirectoryServer(service) as directory:
        spans = folder / "spans.ndjson"
        application = Application(_config(folder / "data", directory.url, spans))
        try:
            key = application.bootstrap_admin() or ""
            application.start()
            with httpx.Client(
                base_url=application.server.url, headers={"Authorization": f"Bearer {key}"}, timeout=60
            ) as client:
                _ask_for_both(client, mapping.technicians[0])
        finally:
            application.stop()
    return spans


def _config(data: Path, directory: str, spans: Path) -> Config:
    settings: dict[str, Any] = {
        "data": data,
        "http": {"port": 0},
        "log": {"partitions": 1},
        "directories": {"default": {"url": directory}},
        "observability": {"trace_file": spans, "trace_ratio": 1},
        "watch": {
            "parameters": {"temperature": {"lower": 0, "upper": 100}},
            "policy": {"open_after_s": 0, "open_readings": 1},
        },
    }
    return Config(**settings)


def _ask_for_both(client: httpx.Client, technician: str) -> None:
    event = {"device": _DEVICE, "ts": SystemClock().now_ms(), "temperature": 500.0}
    client.post("/v1/events", json=[event]).raise_for_status()
    # another list than the one that is recorded: one that finds nothing yet would be the fastest
    _wait_until(lambda: client.get("/v1/anomalies").json()["anomalies"])
    _wait_until(lambda: client.get(f"/v1/technicians/{technician}/devices").json().get("devices"))
    for number in range(AGAIN):
        answer = client.get(f"/v1/technicians/{technician}/anomalies", params={"state": "unresolved"})
        (found,) = answer.json()["anomalies"]
        resolved = client.post(
            f"/v1/anomalies/{found['id']}/resolve",
            json={"note": "bearing replaced"},
            headers={"If-Match": f'"{found["version"]}"', "Idempotency-Key": f"resolve {number}"},
        )
        action = resolved.raise_for_status().json()["action"]
        client.post(f"/v1/actions/{action}/undo", json={}).raise_for_status()


def _wait_until(done: Callable[[], object]) -> None:
    until_s = time.monotonic() + _PATIENCE_S
    while not done():
        if time.monotonic() > until_s:
            raise TimeoutError("nothing was found")
        time.sleep(0.1)


def table(name: str) -> str:
    """What `tocsin trace` prints of the recorded spans."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        main(["trace", str(_ASSETS / f"{name}.ndjson"), SHOWN[name]])
    return printed.getvalue()


def _write_shown() -> None:
    page = PAGE.read_text()
    with tempfile.TemporaryDirectory() as folder:
        recorded = record(Path(folder))
        for name, what in SHOWN.items():
            files = [
                "--svg",
                f"{_ASSETS / name}.svg",
                "--spans",
                f"{_ASSETS / name}.ndjson",
                "--which",
                "fastest",
            ]
            main(["trace", str(recorded), what, *files])
            block = re.compile(rf"(?<=```text\n){re.escape(what)}, .*?(?=```)", re.DOTALL)
            page = block.sub(table(name), page)
    PAGE.write_text(page)


if __name__ == "__main__":
    _write_shown()
