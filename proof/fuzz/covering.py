"""Which branches of the parsers the tests and the fuzzers' corpora take; `proof.fuzz --coverage` asks.

Runs with NUMBA_DISABLE_JIT=1 and the operations of `plain`, so that branches of compiled kernels count too.
`python -m proof.fuzz.covering CORPORA` is the process that measures; its last line is a JSON object.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_ROOT: Final = Path(__file__).parents[2]
_PARSERS: Final = _ROOT / "src/tocsin/ingest/parsing"
_TESTS: Final = (
    *("test_fast_is_careful.py", "test_content_types.py", "test_bad_lines.py", "test_event_lines.py"),
)
_CORPORA: Final = ("ndjson", "json_array", "csv", "arrow_stream", "encoding")
_INPUTS_MAX: Final = 2000
"""Of each corpus, so that one that has grown for days does not take hours."""


class UncoveredError(Exception):
    """Nothing can be said: a test failed without compiled code, or none ran."""


def covered(corpora: Path) -> Mapping[str, Any]:
    """The figures, from a process of its own; blocks for minutes. Raises UncoveredError."""
    done = subprocess.run(
        [sys.executable, "-m", "proof.fuzz.covering", str(corpora)],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        cwd=_ROOT,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UncoveredError(done.stdout[-4000:])
    sys.stderr.write(done.stdout)
    figures: Mapping[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def main() -> int:
    """Measure in this process, which must not have imported anything of Tocsin."""
    import coverage  # noqa: PLC0415 - only proofs have it installed

    watched = coverage.Coverage(
        branch=True, data_file=None, config_file=False, source=[str(_PARSERS)], messages=False
    )
    watched.start()
    code = _exercise(Path(sys.argv[1]))
    watched.stop()
    if code:
        return code
    missing = watched.report(show_missing=True, skip_covered=True, file=sys.stdout)
    print(json.dumps(_figures(watched) | {"parser_line_and_branch_percent": round(missing, 1)}))
    return 0


def _exercise(corpora: Path) -> int:
    """Let the tests and the corpora run; the exit code of the tests."""
    from proof.fuzz.plain import install  # noqa: PLC0415 - what is watched is imported after the start

    install()
    import pytest  # noqa: PLC0415

    tests = [str(_ROOT / "tests/unit" / name) for name in _TESTS]
    code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", *tests])
    from proof.fuzz.bodies import TARGETS  # noqa: PLC0415

    for target in TARGETS:
        inputs = sorted((corpora / target.name).glob("*"))[:_INPUTS_MAX]
        for data in [*target.seeds, *(path.read_bytes() for path in inputs)]:
            target.run(data)
    return int(code)


def _figures(watched: Any) -> dict[str, Any]:
    branches = taken = 0
    for path in sorted(_PARSERS.glob("*.py")):
        numbers = watched._analyze(str(path)).numbers
        branches += numbers.n_branches
        taken += numbers.n_branches - numbers.n_missing_branches
    return {"parser_branch_coverage": round(taken / branches, 4), "branches": branches, "taken": taken}


if __name__ == "__main__":
    sys.exit(main())
