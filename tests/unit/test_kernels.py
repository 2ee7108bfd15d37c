"""Kernels run without the linear algebra that Numba would load for nobody."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import sys
import numpy as np
from numba.np import linalg
from tocsin.events import Strings
assert Strings.of(["a", "b"]).take(np.array([1])).tolist() == ["b"]
print("scipy.linalg" in sys.modules)
linalg.ensure_blas()
print("scipy.linalg" in sys.modules)
"""


def test_linear_algebra_is_loaded_only_for_a_kernel_that_asks() -> None:
    """One of our own does not, and one of a team's detector still finds it."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "True"]
