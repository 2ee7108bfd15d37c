"""Compiled kernels of a copy of the project: which of them a changed file makes stale.

Numba's cache sees when a kernel's own file changes, not one that it calls into. So whatever imports a changed
file, directly or through others, is compiled again; everything else is used as it was compiled before.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

PACKAGE: Final = "tocsin"


class Kernels:
    """The kernels under `source`, the folder that holds the package. Reads every file once."""

    def __init__(self, source: Path) -> None:
        self._source: Final = source
        self._importers: Final = _importers(source)

    def stale_after(self, changed: Path) -> list[Path]:
        """The cached kernels that may hold code of this file."""
        names = self._reached_from(_name(changed, self._source))
        return [path for name in names for path in self._cached(name)]

    def forget_stale(self) -> None:
        """Remove every kernel that is older than a file it may hold code of."""
        for path in self._source.rglob("*.py"):
            written_s = path.stat().st_mtime
            for kernel in self.stale_after(path) if "numba" in path.read_text() else ():
                if kernel.stat().st_mtime < written_s:
                    kernel.unlink()

    def _reached_from(self, name: str) -> set[str]:
        reached, waiting = {name}, [name]
        while waiting:
            for importer in self._importers.get(waiting.pop(), set()) - reached:
                reached.add(importer)
                waiting.append(importer)
        return reached

    def _cached(self, name: str) -> Iterator[Path]:
        path = self._source.joinpath(*name.split("."))
        return (path.parent / "__pycache__").glob(f"{path.name}.*.nb[ci]")


def _importers(source: Path) -> Mapping[str, set[str]]:
    """Module by module, those that import it."""
    found: dict[str, set[str]] = {}
    for path in source.rglob("*.py"):
        name = _name(path, source)
        for imported in _imports(ast.parse(path.read_bytes())):
            found.setdefault(imported, set()).add(name)
    return found


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (each.name for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{each.name}" for each in node.names)


def _name(path: Path, source: Path) -> str:
    return ".".join(path.relative_to(source).with_suffix("").parts).removesuffix(".__init__")
