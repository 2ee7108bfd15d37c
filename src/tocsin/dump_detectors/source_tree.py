"""A detector's package as a folder, made known as if it were installed."""

from __future__ import annotations

import importlib
import os
import re
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tocsin.dump_detectors.registry import ENTRY_POINTS
from tocsin.errors import InvalidInputError


@contextmanager
def announced(target: str) -> Iterator[str]:
    """The detector's name: `target` itself, or what the package in the folder `target` announces.

    Within the context a folder's package is found by this process and by those that it starts, before an
    installed one; its own dependencies have to be installed.
    """
    if not _is_folder(target):
        yield target
        return
    folder = Path(target).resolve()
    project = _project(folder / "pyproject.toml")
    entries = project.get("entry-points", {}).get(ENTRY_POINTS, {})
    if len(entries) != 1:
        raise InvalidInputError(
            f"{folder / 'pyproject.toml'} announces {len(entries)} dump detectors, not one, "
            f'in [project.entry-points."{ENTRY_POINTS}"]; install the package and name one',
            field="detector",
        )
    source = folder / "src" if (folder / "src").is_dir() else folder
    with tempfile.TemporaryDirectory(prefix="tocsin-detector-") as made:
        _announce(Path(made), str(project.get("name", "detector")), str(project.get("version", "0")), entries)
        with _found_first([made, str(source)]):
            yield next(iter(entries))


def _is_folder(target: str) -> bool:
    looks = os.sep in target or target in {".", ".."}
    if looks and not Path(target).is_dir():
        raise InvalidInputError(f"{target} is no folder with a package", field="detector")
    return looks


def _project(path: Path) -> dict[str, Any]:
    try:
        project = tomllib.loads(path.read_text(encoding="utf-8")).get("project", {})
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidInputError(f"{path}: {error}", field="detector") from error
    return dict(project)


def _announce(folder: Path, name: str, version: str, entries: dict[str, str]) -> None:
    about = folder / f"{re.sub(r'[-_.]+', '_', name)}-{version}.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [f"{key} = {value}" for key, value in entries.items()]
    (about / "entry_points.txt").write_text("\n".join([f"[{ENTRY_POINTS}]", *lines, ""]))


@contextmanager
def _found_first(folders: list[str]) -> Iterator[None]:
    """Before all else on the path of this process and of its children."""
    before, sys_path = os.environ.get("PYTHONPATH"), sys.path[:]
    sys.path[:0] = folders
    os.environ["PYTHONPATH"] = os.pathsep.join([*folders, *([before] if before else [])])
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.path[:] = sys_path
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
