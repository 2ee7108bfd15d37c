"""The traces that a page shows: picture and table are what `tocsin trace` makes of the spans beside them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.record_traces import PAGE, SHOWN, table
from tocsin.cli.app import main


@pytest.mark.parametrize("name", SHOWN)
def test_picture_and_table_are_what_the_command_makes_of_the_spans(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """To the byte; and every span of them is explained."""
    assets = PAGE.parents[1] / "assets"
    spans, page = assets / f"{name}.ndjson", PAGE.read_text()
    made = [tmp_path / "made.svg", tmp_path / "made.ndjson"]
    assert main(["trace", str(spans), SHOWN[name], "--svg", str(made[0]), "--spans", str(made[1])]) == 0
    assert made[0].read_text() == (assets / f"{name}.svg").read_text()
    assert made[1].read_text() == spans.read_text()
    assert capsys.readouterr().out == table(name)
    assert f"```text\n{table(name)}```" in page
    assert f"](../assets/{name}.svg)" in page
    assert f"](../assets/{name}.ndjson)" in page
    names = {json.loads(line)["name"] for line in spans.read_text().splitlines()}
    assert {span for span in names if f"| `{span}` |" not in page} == set()
