"""`tocsin version`"""

from __future__ import annotations

import platform
from importlib.metadata import version as version_of

from tocsin import __version__
from tocsin.cli.output import JsonFlag, finish

_PACKAGES = ("apsw", "deltalake", "duckdb", "numba", "numpy", "polars", "pyarrow", "tzdata")


def version(json: JsonFlag = False) -> None:
    """Print the versions that results depend on."""
    packages = {name: version_of(name) for name in _PACKAGES}
    result = {"tocsin": __version__, "python": platform.python_version(), "packages": packages}
    lines = [f"tocsin {__version__}", f"python {platform.python_version()}"]
    finish(result, lines + [f"{name} {number}" for name, number in packages.items()], json)
