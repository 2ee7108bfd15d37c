"""The campaigns against a real server, a few seconds of each: neighbours and long runs."""

from __future__ import annotations

import pytest

from proof.neighbours.run import measure
from proof.soak.run import Plan, soak

pytestmark = [pytest.mark.services, pytest.mark.long]


def test_neighbours_change_no_verdict() -> None:
    """A device with new names without end and one a year ahead: the calm group's digests are a backtest's."""
    soon = {"TOCSIN_PROCESSING__CORRECTION_INTERVAL_S": "1"}  # else the end waits a minute for late data
    found = measure(["names", "clock"], seconds=8, devices=0, bodies_per_s=50, seed=3, settings=soon)
    assert found["verdicts_same"]
    assert found["conservation_error"] == 0
    assert found["calm_events"] > 1000
    assert found["neighbours"]["names"]["told"]["statuses"]
    assert found["neighbours"]["clock"]["told"]["accepted"] > 0
    assert found["neighbour_p99_ratio"] == max(each["ratio"] for each in found["neighbours"].values())


def test_kills_under_load_lose_nothing() -> None:
    """Events acknowledged are there once, verdicts are a backtest's, and the report has its figures."""
    plan = Plan(seconds=10, events_per_s=2000, fault_every_s=4, disk_bytes=1 << 30, seed=2)
    found = soak(plan)
    assert found["verdicts_same"]
    assert found["conservation_error"] == 0
    assert found["unplanned_ends"] == 0
    assert found["kills"] + found["full_disks"] > 0
    assert found["rss_bytes_max"] > 100_000_000
