"""The API against its own description."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.http_kit import World, event, lines
from tocsin.access.principal import Role
from tocsin.api.server import HttpServer
from tocsin.config.sections import HttpConfig
from tocsin.services.ingest import Delivery

ROOT: Final = Path(__file__).parents[3]
SECONDS: Final = int(os.environ.get("TOCSIN_SCHEMATHESIS_SECONDS", "20"))
"""How long Schemathesis asks; an hour finds more than a test run has time for."""


@pytest.fixture
def document(world: World) -> dict[str, Any]:
    described: dict[str, Any] = world.app.openapi()
    return described


def test_description_is_openapi_3_1(document: dict[str, Any]) -> None:
    """Version, security schemes and problem schema are what the reference promises."""
    assert document["openapi"].startswith("3.1.")
    assert {"credential", "session"} <= set(document["components"]["securitySchemes"])
    assert "Problem" in document["components"]["schemas"]
    assert "HTTPValidationError" not in json.dumps(document)


def test_every_operation_declares_its_problems_and_an_example(document: dict[str, Any]) -> None:
    """No operation leaves its errors, its summary or its description to be guessed."""
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], path
            assert operation["description"], path
            statuses = set(operation["responses"])
            # the framework would declare one everywhere; only an archive can be well sent and bad
            takes_archives = "dumps" in path and method in {"put", "post", "patch"}
            assert ("422" in statuses) == takes_archives, (method, path)
            if path not in {"/healthz", "/readyz", "/metrics"}:
                assert {"400", "401", "403", "429", "503"} <= statuses, (method, path)


@pytest.fixture
def server(world: World) -> Iterator[HttpServer]:
    world.find_anomaly("pump-7")
    world.responsible("6f9619ff-8b86-4011-b42d-00c04fc964ff", "pump-7", location="site-001")
    principal = world.services.entrance.by_token(world.key(Role.OPERATOR))
    body = lines(event()) + b"nonsense\n"
    world.services.ingest.deliver_now(principal, Delivery(body=body))
    server = HttpServer(world.app, HttpConfig(port=0), world.services.stream, stop_s=1)
    server.start()
    yield server
    server.stop()


REFUSALS: Final = """
# The tool's own lists, and 412, which tus demands for a request without its version.
[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 406, 409, 412, 415, 422, 428, 429, "5xx"]
[checks.missing_required_header]
expected-statuses = [400, 401, 403, 406, 412, 415, 422]
"""
KNOWN: Final = """
[parameters]
device = "pump-7"
parameter = "temperature"
letter_id = 1
technician_id = "6f9619ff-8b86-4011-b42d-00c04fc964ff"
location = "site-001"
"""


@pytest.mark.services
@pytest.mark.long
@pytest.mark.parametrize("known", ["", KNOWN], ids=["random names", "names that exist"])
def test_schemathesis_finds_nothing(world: World, server: HttpServer, tmp_path: Path, known: str) -> None:
    """Random requests get no 5xx, and every answer has a declared status, type and shape."""
    settings = tmp_path / "schemathesis.toml"
    settings.write_text(REFUSALS + known)
    command = [
        *(str(Path(sys.executable).parent / "schemathesis"), f"--config-file={settings}", "run"),
        *("--url", server.url, "--max-time", str(max(1, SECONDS // 2)), "--exclude-path", "/v1/stream"),
        *("-H", f"Authorization: Bearer {world.key(Role.ADMIN)}", "--seed", "7"),
        *("--checks", "all", "--exclude-checks", "positive_data_acceptance", "--request-timeout", "60"),
        server.url + "/openapi.json",
    ]
    hooks = os.environ | {"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks"}
    done = subprocess.run(
        command, env=hooks, cwd=ROOT, capture_output=True, text=True, check=False, timeout=SECONDS + 120
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]
