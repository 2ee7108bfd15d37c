"""Lets Numba run kernels without SciPy; importing it is all there is to do, before the first kernel.

With its first kernel Numba would load SciPy's linear algebra where that is installed, only to know that it
is: a third of a second and 30 MiB in each process. No kernel here does linear algebra. One of somebody
else's in this process still finds it: Numba asks again where it compiles a product of matrices.
"""

from __future__ import annotations

from numba.np import linalg


def _skip_the_search() -> None:
    """Load the one module that looks for it while the search does nothing."""
    search = linalg.ensure_blas
    linalg.ensure_blas = lambda: None
    try:
        import numba.np.arraymath  # noqa: F401, PLC0415 - looks when it is imported
    finally:
        linalg.ensure_blas = search


_skip_the_search()
