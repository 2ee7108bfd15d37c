"""Do dump detectors find the same when dumps come over a bad line to a server that is killed? Ends with JSON.

    python -m benchmarks.quality.disorder DUMPS --detectors '{"line-shapes": {}, "number-fields": {}}'

DUMPS is what `tocsin simulate dumps` wrote with --reorder, --repeat or --cut. They are sent to one server in
their order, to another one as `delivery.ndjson` says, which is killed meanwhile at random moments, and once
more when all has been sent. The digests of both must be equal.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

from tocsin.testing import COMMAND, Server

STEP_S: Final = "600"
JUDGED_S: Final = 7_200.0
BETWEEN_KILLS_S: Final = (5.0, 25.0)


def sending(server: Server, folder: Path, *words: str) -> subprocess.Popen[str]:
    """`tocsin upload`, under way."""
    command = [str(COMMAND), "upload", str(folder), *words, "--json"]
    return subprocess.Popen(command, env=server.environment(), stdout=subprocess.PIPE, text=True)


def result_of(process: subprocess.Popen[str]) -> dict[str, int]:
    """What it says at its end."""
    said, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"tocsin upload ended with {process.returncode}")
    result: dict[str, int] = json.loads(said.splitlines()[-1])
    return result


def digest_of(server: Server) -> str:
    """Over what detectors found, once every dump has been judged."""
    return str(server.digest(timeout_s=JUDGED_S)["digest_dumps"])


def calm(server: Server, folder: Path) -> dict[str, Any]:
    """All in their order."""
    with server:
        sent = result_of(sending(server, folder))
        return {"digest": digest_of(server), "sent": sent}


def bad(server: Server, folder: Path, kills_max: int, rng: random.Random) -> dict[str, Any]:
    """As the plan says, with kills."""
    with server:
        process, kills = sending(server, folder, "--delivery", str(folder / "delivery.ndjson")), 0
        while process.poll() is None and kills < kills_max:
            time.sleep(rng.uniform(*BETWEEN_KILLS_S))
            kills += again(server)
        sent = result_of(process)
        kills += again(server)
        return {"digest": digest_of(server), "sent": sent, "kills": kills}


def again(server: Server) -> int:
    """Kill it and start it once more."""
    server.kill()
    server.start()
    return 1


def main() -> int:
    """Compare; 1 if the digests differ."""
    parser = argparse.ArgumentParser(description="Calm and disordered uploads; last line is JSON.")
    parser.add_argument("dumps", type=Path)
    parser.add_argument("--detectors", required=True, help="as `watch.dump_detectors` has them, JSON")
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    settings = {"TOCSIN_WATCH__DUMP_DETECTORS": asked.detectors, "TOCSIN_DUMPS__STEP_S": STEP_S}
    with tempfile.TemporaryDirectory() as place:
        found = {
            "calm": calm(Server(Path(place) / "calm", settings), asked.dumps),
            "bad": bad(
                Server(Path(place) / "bad", settings), asked.dumps, asked.kills, random.Random(asked.seed)
            ),
        }
    equal = found["calm"]["digest"] == found["bad"]["digest"]
    print(json.dumps(found | {"equal": equal}))
    return 0 if equal else 1


if __name__ == "__main__":
    sys.exit(main())
