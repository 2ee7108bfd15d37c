"""How the simulated system is configured: small, so that segments, flushes and checkpoints happen often."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from proof.simulation.plan import Plan
from tocsin.config import Config
from tocsin.config.sections import HttpConfig, IngestConfig, LakeConfig, LogConfig, ProcessingConfig
from tocsin.config.watch import PolicyConfig, RangeConfig, WatchConfig

WATCHES: Final = (
    WatchConfig(),
    WatchConfig(policy=PolicyConfig(open_after_s=120, open_readings=2, close_after_s=60, close_readings=1)),
    WatchConfig(timezone="Europe/Berlin", silence_min_s=300, silence_intervals=3),
    WatchConfig(detectors={"seasonal": {}}, parameters={"temperature": RangeConfig(lower=-20, upper=55)}),
)


def config_of(plan: Plan, root: Path, settings: int) -> Config:
    """The configuration of one life."""
    return Config(
        data=root,
        http=HttpConfig(concurrency_max=8),
        ingest=IngestConfig(threads=2, devices_per_tenant_max=6, fields_per_device_max=6),
        log=LogConfig(partitions=plan.partitions, segment_bytes=plan.segment_bytes),
        lake=LakeConfig(flush_s=30, flush_rows=2000),
        processing=ProcessingConfig(checkpoint_interval_s=60, correction_interval_s=45),
        watch=WATCHES[settings],
    )
