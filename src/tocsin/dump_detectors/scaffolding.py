"""Writes a package with a detector that works, for a team to begin with."""

from __future__ import annotations

import keyword
import sys
from importlib.resources import files
from pathlib import Path
from typing import Final

from tocsin.dump_detectors.registry import is_name
from tocsin.errors import InvalidInputError

_FILES: Final = {
    "pyproject.toml.txt": "pyproject.toml",
    "README.md.txt": "README.md",
    "init.py.txt": "src/@module@/__init__.py",
    "detector.py.txt": "src/@module@/detector.py",
    "test_detector.py.txt": "tests/test_detector.py",
}


def write_package(name: str, folder: Path) -> list[Path]:
    """The files of a new package for the detector `name`; the folder must be empty or absent.

    InvalidInputError for a name that can't be one of a detector and of a module, and for a folder in use.
    """
    module = name.replace("-", "_")
    if not is_name(name) or keyword.iskeyword(module) or module in sys.stdlib_module_names:
        raise InvalidInputError(
            f"{name!r} can't name a detector and its module: a lower case letter, then letters, digits, _ "
            "and -, at most 64, and no word of Python or module of its library",
            field="name",
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InvalidInputError(f"{folder} is there already and is not empty: name another one", field="out")
    words = {"@name@": name, "@module@": module, "@class@": _class_of(name)}
    written = []
    for source, target in _FILES.items():
        path = folder / _filled(target, words)
        path.parent.mkdir(parents=True, exist_ok=True)
        text = files("tocsin.dump_detectors").joinpath("scaffold", source).read_text(encoding="utf-8")
        path.write_text(_filled(text, words), encoding="utf-8")
        written.append(path)
    typed = folder / "src" / module / "py.typed"
    typed.write_text("")
    return [*written, typed]


def _class_of(name: str) -> str:
    """How the class is called.

    >>> _class_of("line-shapes_2")
    'LineShapes2'
    """
    return "".join(part.capitalize() for part in name.replace("_", "-").split("-"))


def _filled(text: str, words: dict[str, str]) -> str:
    for mark, word in words.items():
        text = text.replace(mark, word)
    return text
