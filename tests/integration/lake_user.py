"""Uses log and lake as a server does, in a process that can be watched: `lake_user.py FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.lake_kit import events, steady
from tocsin.clock import SystemClock
from tocsin.lake import table
from tocsin.lake.compaction import CompactionPolicy, compact
from tocsin.lake.delta import DeltaLake
from tocsin.lake.upkeep import vacuum
from tocsin.log.abstract import Append, Part, RecordKind
from tocsin.log.embedded import EmbeddedLog
from tocsin.payloads import encode_events

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    table.CHECKPOINT_EVERY = 3  # type: ignore[misc]
    log = EmbeddedLog(folder / "log", 1, SystemClock(), segment_bytes_max=8_000)
    lake = DeltaLake(folder / "lake", SystemClock())
    for number in range(12):
        batch = events(steady(30))
        part = Part(0, RecordKind.EVENTS, len(batch), encode_events(batch))
        log.submit(Append("acme", 0, (part,), (), "p", str(number), b"f", b"a")).result()
        lake.append(log.read(0, lake.positions().get(0, 0)))
        log.trim(lake.positions())
    assert log.begin(0) > 0
    assert list(compact(lake.store, CompactionPolicy(files_min=2)))
    assert vacuum(lake.store, grace_s=0)
    lake.close()
    log.close()
