"""`python -m proof.power --seconds N`: power cuts in recorded runs; the last line is a JSON object.

Disks on which something was lost, doubled or broken are kept below `.power/`.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from pathlib import Path

from proof.figures import remember
from proof.power.campaign import campaign
from proof.subject.planting import PLANTS


def main() -> int:
    """0 if no state lost, doubled or broke anything; with --plant, 0 if something was noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--plant", choices=sorted(PLANTS), default="", help="take one protection away")
    parser.add_argument("--history", action="store_true", help="add a line to proof/history.ndjson")
    arguments = parser.parse_args()
    figures = campaign(
        arguments.seconds,
        arguments.seed,
        plant=arguments.plant,
        keep=None if arguments.plant else Path(".power"),
    )
    result = {**figures.as_json(), "seed": arguments.seed, "seconds": arguments.seconds}
    if arguments.history:
        remember("power", result)
    print(json.dumps(result))
    return 0 if bool(figures.words) == bool(arguments.plant) else 1


if __name__ == "__main__":
    sys.exit(main())
