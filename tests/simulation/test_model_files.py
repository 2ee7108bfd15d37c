"""A whole backtest of a simulated fleet gives what the model expects, in every file that it writes."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from proof.compare.backtests import Way, compare_file
from tocsin.cli.app import app
from tocsin.control import Settings
from tocsin.files import Mapping, open_events

WAYS = (Way(), Way(batch_rows=61, partitions=5))


@pytest.mark.parametrize("way", WAYS, ids=["at once", "in pieces"])
@pytest.mark.parametrize(
    ("start", "timezone"),
    [("2026-03-27T00:00:00Z", "Europe/Berlin"), ("2026-01-05T00:00:00Z", "UTC")],
    ids=["change to summer time", "winter"],
)
def test_a_fleet_with_every_fault_is_judged_as_the_model_says(
    tmp_path: Path, start: str, timezone: str, way: Way
) -> None:
    """Late, doubled and reordered events, wrong clocks, silences and faults of sensors, over days."""
    fleet = tmp_path / "fleet.csv"
    wanted = ["--stations", "2", "--days", "4", "--interval-s", "300", "--faults", "all", "--arrival"]
    often = ["--faults-per-month", "90", "--fault-free-days", "1", "--start", start, "--out", str(fleet)]
    made = CliRunner().invoke(app, ["simulate", *wanted, *often])
    assert made.exit_code == 0, made.output
    mapping = Mapping(arrival_column="arrival")
    found, model = compare_file(lambda: open_events(fleet, mapping), Settings(timezone=timezone), way)
    assert found == []
    (counts,) = model.counts.values()
    assert counts["late"] > 0
    assert model.episodes
