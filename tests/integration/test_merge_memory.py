"""What a merge of lake files takes of the server's memory is what its policy says, and is given back."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.lake_kit import DAY_MS, HOUR_MS, NOW_MS, events, open_lake, record, steady
from tocsin.lake.compaction import SPARE_BYTES
from tocsin.log.abstract import Record

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="asks Linux for the peak")

MEMORY_BYTES = 64 << 20
DEVICES = 10_000
APPENDS = 8
ROUNDS = 20

_MERGE = """
import sys
from pathlib import Path
from tests.lake_kit import open_lake
from tocsin.lake.compaction import CompactionPolicy, compact
from tocsin.memory import be_thrifty

def resident_bytes(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) << 10

be_thrifty()
lake = open_lake(Path(sys.argv[1]))
before = resident_bytes("VmRSS")
Path("/proc/self/clear_refs").write_text("5")  # from now on the peak counts
rows = sum(done.rows for done in compact(lake.store, CompactionPolicy(memory_bytes=int(sys.argv[2]))))
print(rows, resident_bytes("VmHWM") - before, resident_bytes("VmRSS") - before)
lake.close()
"""


def fill(folder: Path, start_ms: int) -> None:
    """A lake as a busy fleet makes it: each append is some rounds of one event of each device."""
    fleet = events(steady(DEVICES, step_ms=0, devices=DEVICES))
    lake = open_lake(folder)
    for append in range(APPENDS):
        records: list[Record] = []
        for round_ in range(append * ROUNDS, (append + 1) * ROUNDS):
            ts = np.full(DEVICES, start_ms + round_ * 60_000, np.int64)
            records.append(record(round_ * DEVICES, replace(fleet, ts=ts)))
        lake.append(records)
    lake.close()


@pytest.mark.parametrize("start_ms", [NOW_MS - 4 * HOUR_MS, NOW_MS + 2 * DAY_MS], ids=["events", "overflow"])
def test_a_merge_takes_no_more_memory_than_its_policy_says(tmp_path: Path, start_ms: int) -> None:
    """However many rows there are; what it took is given back when it is done."""
    fill(tmp_path, start_ms)
    ran = subprocess.run(
        [sys.executable, "-c", _MERGE, str(tmp_path), str(MEMORY_BYTES)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows, peak_bytes, kept_bytes = map(int, ran.stdout.split())
    assert rows > APPENDS * ROUNDS * DEVICES
    assert peak_bytes <= MEMORY_BYTES + SPARE_BYTES
    assert kept_bytes <= 64 << 20
