"""API fuzzer: Schemathesis against a real server, every operation but the endless stream.

`python -m tests.fuzz.api --seconds 60 --seed 1`; the last line is a JSON object, the exit status 1 after an
answer of 5xx that says something broke, one that the OpenAPI document does not know, or a crash.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tocsin.testing import Server

CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"
_GENEROUS = {"TOCSIN_ACCESS__REQUESTS_PER_S": "1e6", "TOCSIN_ACCESS__REQUESTS_BURST": "1e6"}


def fuzz(server: Server, seconds: int, seed: int) -> int:
    """Schemathesis' exit code."""
    command = [str(Path(sys.executable).parent / "st"), "run", f"{server.url}/openapi.json", "--no-color"]
    command += ["--header", f"Authorization: Bearer {server.key}", "--exclude-path", "/v1/stream"]
    command += ["--checks", CHECKS, "--max-time", str(seconds), "--seed", str(seed), "--continue-on-failure"]
    command += ["--request-timeout", "60"]  # the very first query may have kernels to compile
    hooks = os.environ | {"SCHEMATHESIS_HOOKS": "tests.fuzz.hooks"}
    return subprocess.run(command, check=False, env=hooks).returncode


def main() -> int:
    """Start a server on an empty folder, fuzz it, see that it lives."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=int, default=60)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="tocsin-fuzz-") as folder,
        Server(Path(folder) / "data", _GENEROUS) as server,
    ):
        code = fuzz(server, given.seconds, given.seed)
        alive = server.ready()
    print(
        json.dumps({"seconds": given.seconds, "seed": given.seed, "schemathesis_exit": code, "alive": alive})
    )
    return 0 if code == 0 and alive else 1


if __name__ == "__main__":
    sys.exit(main())
