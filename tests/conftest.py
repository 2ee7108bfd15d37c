"""Before any test: forget compiled kernels when the source of one has changed, and choose how tests explore.

Numba's cache notices a change of the file a kernel stands in, not of a file that the kernel calls into.
A CI run tries the same examples each time, so that it judges the commit; developers' runs try new ones.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import xxhash
from hypothesis import settings

settings.register_profile("ci", derandomize=True, print_blob=True)
if os.environ.get("CI"):
    settings.load_profile("ci")

SOURCES = Path(__file__).parent.parent / "src"


def pytest_configure(config: pytest.Config) -> None:
    """Delete stale kernels once, in the main process."""
    if hasattr(config, "workerinput") or config.cache is None:
        return
    sources = (path.read_bytes() for path in sorted(SOURCES.rglob("*.py")))
    digest = xxhash.xxh3_128_hexdigest(b"".join(source for source in sources if b"numba" in source))
    if config.cache.get("tocsin/sources", None) != digest:
        for kernel in SOURCES.rglob("*.nb[ci]"):
            kernel.unlink(missing_ok=True)
        config.cache.set("tocsin/sources", digest)
