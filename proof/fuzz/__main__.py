"""`python -m proof.fuzz --seconds N`: fuzzes every target for its share of the time, and the HTTP interface.

Corpora are kept in `.fuzz/`, so that the next run goes on where this one ended. What is found lies in
`.fuzz/found`; mend the cause and keep the input in tests/fuzz/found. The last line is a JSON object, the
exit code 1 after any find. `--coverage` also measures which branches of the parsers tests and corpora take.
"""

from __future__ import annotations

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from proof.fuzz.covering import covered
from proof.fuzz.session import Session, fuzz
from proof.fuzz.targets import TARGETS

FOLDER = Path(".fuzz")


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help=f"targets, with commas, of {', '.join(TARGETS)}")
    parser.add_argument(
        "--coverage", action="store_true", help="measure branches of the parsers too: a minute"
    )
    given = parser.parse_args()
    if find_spec("atheris") is None:
        parser.error("atheris is not installed: `make proof` installs it, from requirements/proof.txt")
    names = [name for name in given.only.split(",") if name] or list(TARGETS)
    share_s = max(1, given.seconds // len(names))
    sessions = [_session(name, share_s, given.seed) for name in names]
    failures = [session for session in sessions if session.failed]
    for session in failures:
        print(f"== {session.target}: {', '.join(map(str, session.found))}\n{session.output}", file=sys.stderr)
    figures: dict[str, Any] = {
        "fuzz_executions": sum(session.executions for session in sessions),
        "fuzz_failures": len(failures),
        "targets": {session.target: session.executions for session in sessions},
    }
    if given.coverage:
        figures |= covered(FOLDER)
    print(json.dumps(figures))
    return int(bool(failures))


def _session(name: str, seconds: int, seed: int) -> Session:
    session = fuzz(name, FOLDER, seconds, seed)
    print(f"{name}: {session.executions:,} executions{', FOUND' if session.failed else ''}", file=sys.stderr)
    return session


if __name__ == "__main__":
    sys.exit(main())
