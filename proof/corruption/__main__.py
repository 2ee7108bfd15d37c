"""`python -m proof.corruption --seconds N`: flipped bits; the last line is a JSON object."""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from pathlib import Path

from proof.corruption.campaign import campaign
from proof.figures import remember
from proof.power.campaign import memory
from proof.subject.nursery import with_shim


def main() -> int:
    """0 if every flip was harmless, named, or mended."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 30))
    parser.add_argument("--history", action="store_true", help="add a line to proof/history.ndjson")
    arguments = parser.parse_args()
    with_shim("proof.corruption")
    with tempfile.TemporaryDirectory(dir=memory(), prefix="tocsin-flips-") as folder:
        figures = campaign(Path(folder), arguments.seed, arguments.seconds)
    for words in figures.words:
        print(words, file=sys.stderr)
    result = {**figures.as_json(), "seed": arguments.seed, "seconds": arguments.seconds}
    if arguments.history:
        remember("corruption", result)
    print(json.dumps(result))
    return 1 if figures.failures else 0


if __name__ == "__main__":
    sys.exit(main())
