"""Limits on the shape of code that no linter checks."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

_UNSAFE = {"pickle", "cPickle", "joblib", "cloudpickle", "dill", "marshal", "shelve"}


@pytest.fixture(scope="module")
def trees(tracked: list[Path]) -> dict[Path, ast.Module]:
    """Every Python file, parsed."""
    return {path: ast.parse(path.read_text()) for path in tracked if path.suffix == ".py"}


def _functions(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, (node.end_lineno or node.lineno) - node.lineno + 1


def test_every_function_fits_a_screen(trees: dict[Path, ast.Module]) -> None:
    """No function is longer than 70 lines."""
    long = [
        (path.name, *found) for path, tree in trees.items() for found in _functions(tree) if found[1] > 70
    ]
    assert long == []


def test_functions_are_small_on_average(trees: dict[Path, ast.Module], root: Path) -> None:
    """The mean length of a function in the source is about ten lines."""
    source = [tree for path, tree in trees.items() if path.is_relative_to(root / "src")]
    assert statistics.mean(lines for tree in source for _, lines in _functions(tree)) <= 12


def test_every_file_can_be_read_in_one_sitting(trees: dict[Path, ast.Module]) -> None:
    """No Python file has more than 600 lines."""
    lengths = {path.name: path.read_text().count("\n") for path in trees}
    assert {name: lines for name, lines in lengths.items() if lines > 600} == {}


def _imported(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add((node.module or "").split(".")[0])
    return names


def test_nothing_imports_a_module_that_runs_code_from_data(trees: dict[Path, ast.Module]) -> None:
    """No pickle, and nothing that pickles behind our back."""
    assert {
        path.name: _imported(tree) & _UNSAFE for path, tree in trees.items() if _imported(tree) & _UNSAFE
    } == {}
