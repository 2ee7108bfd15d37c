"""How the simulated system is configured: small, so that segments, flushes and checkpoints happen often."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from proof.simulation.plan import Plan
from proof.simulation.tally import NAME
from proof.simulation.third_party import directories_of
from tocsin.config import Config
from tocsin.config.sections import HttpConfig, IngestConfig, LogConfig, LogsConfig
from tocsin.config.watch import (
    DumpDetectorConfig,
    DumpRulesConfig,
    PolicyConfig,
    RangeConfig,
    WatchConfig,
)
from tocsin.lake.writer import FlushPolicy
from tocsin.runtimes.embedded.runtime import Pace

LOOK_S: Final = 300.0
"""How often it is looked which devices run an application; an hour is longer than most simulations."""

WATCHES: Final = (
    WatchConfig(),
    WatchConfig(policy=PolicyConfig(open_after_s=120, open_readings=2, close_after_s=60, close_readings=1)),
    WatchConfig(timezone="Europe/Berlin", silence_min_s=300, silence_intervals=3),
    WatchConfig(detectors={"seasonal": {}}, parameters={"temperature": RangeConfig(lower=-20, upper=55)}),
)


def pace_of(plan: Plan) -> Pace:
    """How often the system does what."""
    return Pace(
        tick_s=plan.tick_s,
        checkpoint_s=90.0,
        correction_s=75.0,
        lake_s=plan.idle_s,
        wake_s=30.0,
        idle_s=plan.idle_s,
        flush=FlushPolicy(rows=2000, age_s=45.0),
    )


def config_of(plan: Plan, root: Path, settings: int) -> Config:
    """The configuration of one life."""
    watch = WATCHES[settings]
    if plan.dumps or plan.log_devices:
        watch = watch.model_copy(
            update={
                "dumps": _dump_rules(plan, settings),
                "dump_detectors": {NAME: DumpDetectorConfig()},
            }
        )
    newcomers = () if plan.directory is None else plan.directory.newcomers
    return Config(
        data=root,
        http=HttpConfig(concurrency_max=8),
        ingest=IngestConfig(
            threads=2,
            devices_per_tenant_max=6 + len(plan.log_devices) + len(newcomers),
            fields_per_device_max=6,
        ),
        logs=LogsConfig(window_s=plan.window_s, quiet_s=plan.quiet_s),
        log=LogConfig(partitions=plan.partitions, segment_bytes=plan.segment_bytes),
        watch=watch,
        directories=directories_of(plan),
    )


def _dump_rules(plan: Plan, settings: int) -> DumpRulesConfig:
    if plan.silence is None:
        return DumpRulesConfig(gap_wait_s=plan.gap_wait_s)
    return DumpRulesConfig(
        gap_wait_s=plan.gap_wait_s,
        silence_times=plan.silence.times[settings],
        silence_min_s=plan.silence.least_s,
    )


def version_of(settings: int) -> str:
    """The version of the dump detector that is installed with these settings."""
    return "1" if settings % 2 == 0 else "2"
