"""The page on reliability names tests that exist, and says what the history says."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from proof.reliability import history
from proof.reliability.__main__ import page
from proof.reliability.row import Row, rows_of

ROWS = [*rows_of("fault"), *rows_of("input")]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_row_is_shown_by_tests_that_exist(root: Path, row: Row) -> None:
    """Functions of that name, in those files, that nobody skips; or the row says what it waits for."""
    assert bool(row.tests) != bool(row.later)
    for test in row.tests:
        file, _, name = test.partition("::")
        functions = [
            node
            for node in ast.walk(ast.parse((root / file).read_text()))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name
        ]
        assert len(functions) == 1, test
        assert "skip" not in "".join(ast.unparse(mark) for mark in functions[0].decorator_list), test


def test_the_page_is_up_to_date(root: Path) -> None:
    """`make reference` writes it from the rows and the history."""
    assert (root / "docs" / "reliability.md").read_text() == page().rstrip() + "\n"


def test_every_kind_of_harm_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk on which something was broken counts like one on which something was lost."""
    run = {"what": "power", "commit": "c0ffee", "at": "2026-11-29T10:03:46", "power_loss_states": 9}
    harm = {"power_loss_lost": 1, "power_loss_duplicated": 2, "power_loss_corrupt": 4}
    monkeypatch.setattr(history, "lines", lambda: [run | harm])
    assert "| power | 1 | 9 power_loss_states | 7 | `c0ffee`" in page()
