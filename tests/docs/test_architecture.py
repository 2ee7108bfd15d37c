"""The drawn way of a record is the way that the code goes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

_HOP = re.compile(r"^\| (\w+) \| `(src/[\w/]+\.py)` \| `(\w+)` \|", re.MULTILINE)


def _functions(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_hop_names_a_function_that_its_file_has(root: Path) -> None:
    """Whoever follows the table finds each function in the file it names."""
    hops = _HOP.findall((root / "docs" / "architecture" / "index.md").read_text())
    wrong = [(name, file) for _, file, name in hops if name not in _functions(root / file)]
    assert len(hops) > 8
    assert wrong == []


def test_a_record_reaches_its_anomaly_in_at_most_eight_hops(root: Path) -> None:
    """The way is short enough to be known by heart."""
    hops = _HOP.findall((root / "docs" / "architecture" / "index.md").read_text())
    numbers = [int(step) for step, _, _ in hops if step.isdigit()]
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) <= 8


def test_every_package_has_a_layer_on_the_page(root: Path) -> None:
    """A package that the page leaves out would be one that nobody placed."""
    text = (root / "docs" / "architecture" / "index.md").read_text().partition("## One record")[0]
    packages = {path.parent.name for path in (root / "src" / "tocsin").glob("*/__init__.py")}
    assert packages - set(re.findall(r"`(\w+)`", text)) == set()
