"""`python -m proof.fuzz.worker TARGET CORPUS --seconds N`: fuzzes one target in a process of its own.

A process, since the fuzzer ends it when something was found. The input is then in CORPUS/../found.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import atheris

_HANG_S = 20
_MEMORY_MIB = 3072
_SOURCE = Path(__file__).parents[2] / "src"


def main() -> None:
    """Does not return: the fuzzer ends the process, with 0 when nothing was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with atheris.instrument_imports(include=["tocsin"], exclude=_kernel_modules()):
        from proof.fuzz.targets import TARGETS  # noqa: PLC0415 - what is watched is imported here
    target = TARGETS[given.target]
    given.corpus.mkdir(parents=True, exist_ok=True)
    found = given.corpus.parent / "found"
    found.mkdir(exist_ok=True)
    for number, seed in enumerate(target.seeds):
        (given.corpus / f"seed-{number}").write_bytes(seed)
    options = [
        f"-max_total_time={given.seconds}",
        f"-seed={given.seed}",
        f"-max_len={target.bytes_max}",
        f"-artifact_prefix={found}/{target.name}-",
        f"-timeout={_HANG_S}",
        f"-rss_limit_mb={_MEMORY_MIB}",
        "-print_final_stats=1",
        "-verbosity=1",
    ]
    atheris.Setup([sys.argv[0], *options, str(given.corpus)], target.run, enable_python_coverage=True)
    atheris.Fuzz()


def _kernel_modules() -> list[str]:
    """Modules that Numba compiles, which it can't do with what watches branches in them."""
    files = [path for path in _SOURCE.rglob("*.py") if "njit" in path.read_text()]
    return [".".join(path.relative_to(_SOURCE).with_suffix("").parts) for path in files]


if __name__ == "__main__":
    main()
