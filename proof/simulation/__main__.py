"""`tocsin-sim SEED`: simulate one seed and say what came of it."""

from __future__ import annotations

import sys


def main() -> int:
    """Exit status 0 when nothing was found wrong."""
    sys.stderr.write("tocsin-sim: the simulator is being built\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())
