"""`python -m proof.kills --seconds N` or `--all`: kills and failing disks; the last line is a JSON object."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

from proof.figures import remember
from proof.kills.campaign import campaign
from proof.power.campaign import memory
from proof.subject.nursery import with_shim


def main() -> int:
    """0 if every run came to what the undisturbed one came to."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument(
        "--all", action="store_true", help="kill at every call of a run, however long it takes"
    )
    parser.add_argument("--first", type=int, default=1, help="with --all: begin at this call")
    parser.add_argument("--last", type=int, default=0, help="at so many last calls of a run alone; 0: at any")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--plant", default="", help="take one protection away: 0 if that is noticed")
    parser.add_argument("--history", action="store_true", help="add a line to proof/history.ndjson")
    arguments = parser.parse_args()
    with_shim("proof.kills")
    with tempfile.TemporaryDirectory(dir=memory(), prefix="tocsin-kills-") as folder:
        figures = campaign(
            Path(folder),
            arguments.seed,
            arguments.seconds,
            every=arguments.all,
            planted=arguments.plant,
            first=arguments.first,
            last=arguments.last,
        )
    for words in figures.words:
        print(words, file=sys.stderr)
    result = {**figures.as_json(), "seed": arguments.seed, "seconds": arguments.seconds}
    if arguments.history:
        remember("kills", result)
    print(json.dumps(result))
    return 0 if bool(figures.failures) == bool(arguments.plant) else 1


if __name__ == "__main__":
    sys.exit(main())
