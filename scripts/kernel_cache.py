"""Which sources the compiled kernels are of.

Numba's cache sees when the file changes that a kernel stands in, not one that the kernel calls into. So
a note beside the kernels says of which sources they are, and whoever finds others begins anew.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import xxhash

SOURCES: Final = Path(__file__).parents[1] / "src"
_NOTE: Final = Path("tocsin", "__pycache__", "kernels.xxh3")


def begin_anew(sources: Path = SOURCES) -> None:
    """Remove what was compiled, and note that what is compiled from here on is of the sources as they are."""
    for kernel in sources.rglob("*.nb[ci]"):
        kernel.unlink(missing_ok=True)
    note = sources / _NOTE
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(_digest_of(sources))


def are_stale(sources: Path = SOURCES) -> bool:
    """Whether kernels may be of other sources than these; so they are where nobody has noted anything."""
    try:
        return (sources / _NOTE).read_text() != _digest_of(sources)
    except FileNotFoundError:
        return True


def _digest_of(sources: Path) -> str:
    files = (path.read_bytes() for path in sorted(sources.rglob("*.py")))
    return str(xxhash.xxh3_128_hexdigest(b"".join(source for source in files if b"numba" in source)))
