"""Limits on the shape of code that no linter checks."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

_UNSAFE = {"pickle", "cPickle", "joblib", "cloudpickle", "dill", "marshal", "shelve"}


@dataclass(frozen=True, slots=True)
class Shape:
    """What is looked at of a file; its tree is not kept, a thousand of them would be millions of objects."""

    lines: int
    functions: list[tuple[str, int]]
    """Names and lines."""
    imported: set[str]


@pytest.fixture(scope="module")
def shapes(tracked: list[Path]) -> dict[Path, Shape]:
    """Of every Python file."""
    return {path: _shape(path.read_text()) for path in tracked if path.suffix == ".py"}


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All within it: neither a definition nor an import stands in an expression."""
    for field in ("body", "orelse", "handlers", "finalbody", "cases"):
        for statement in getattr(node, field, ()):
            yield statement
            yield from _statements(statement)


def _shape(text: str) -> Shape:
    shape = Shape(text.count("\n"), [], set())
    for node in _statements(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            shape.functions.append((node.name, (node.end_lineno or node.lineno) - node.lineno + 1))
        elif isinstance(node, ast.Import):
            shape.imported.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            shape.imported.add((node.module or "").split(".")[0])
    return shape


def test_every_function_fits_a_screen(shapes: dict[Path, Shape]) -> None:
    """No function is longer than 70 lines."""
    long = [
        (path.name, *found) for path, shape in shapes.items() for found in shape.functions if found[1] > 70
    ]
    assert long == []


def test_functions_are_small_on_average(shapes: dict[Path, Shape], root: Path) -> None:
    """The mean length of a function in the source is about ten lines."""
    source = [shape for path, shape in shapes.items() if path.is_relative_to(root / "src")]
    assert statistics.mean(lines for shape in source for _, lines in shape.functions) <= 12


def test_every_file_can_be_read_in_one_sitting(shapes: dict[Path, Shape]) -> None:
    """No Python file has more than 600 lines."""
    assert {path.name: shape.lines for path, shape in shapes.items() if shape.lines > 600} == {}


def test_nothing_imports_a_module_that_runs_code_from_data(shapes: dict[Path, Shape]) -> None:
    """No pickle, and nothing that pickles behind our back."""
    found = {path.name: shape.imported & _UNSAFE for path, shape in shapes.items()}
    assert {name: unsafe for name, unsafe in found.items() if unsafe} == {}
