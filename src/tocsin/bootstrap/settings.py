"""What the configuration says, in the words of each part."""

from __future__ import annotations

from tocsin.access.rate_limit import RateLimits
from tocsin.access.sessions import SessionLimits
from tocsin.config import Config
from tocsin.dump_detectors.limits import StepLimits
from tocsin.dumps.limits import ArchiveLimits
from tocsin.lake.room import QueryLimits
from tocsin.lake.writer import FlushPolicy
from tocsin.runtimes.embedded.runtime import Pace


def archive_limits(config: Config) -> ArchiveLimits:
    return ArchiveLimits(
        members_max=config.dumps.members_max,
        bytes_max=config.dumps.unpacked_bytes_max,
        member_bytes_max=config.dumps.member_bytes_max,
        ratio_max=config.dumps.ratio_max,
        gz_streams_max=config.dumps.gz_streams_max,
    )


def step_limits(config: Config) -> StepLimits:
    return StepLimits(wall_s=config.dumps.step_s, memory_bytes=config.dumps.step_memory_bytes)


def pace_of(config: Config) -> Pace:
    return Pace(
        checkpoint_s=config.processing.checkpoint_interval_s,
        correction_s=config.processing.correction_interval_s,
        lake_s=min(1.0, config.lake.flush_s / 4),  # or a record would wait up to twice as long as is told
        steps_at_once=config.processing.steps_at_once,
        flush=FlushPolicy(
            rows=config.lake.flush_rows, age_s=config.lake.flush_s, bytes_max=config.lake.flush_bytes
        ),
    )


def query_limits(config: Config) -> QueryLimits:
    """The engine gets half of its process's memory: it does not count texts in the making."""
    return QueryLimits(memory_bytes=config.query.memory_bytes // 2, timeout_s=config.query.timeout_s)


def rate_limits(config: Config) -> RateLimits:
    access = config.access
    return RateLimits(
        requests_per_s=access.requests_per_s,
        requests_burst=access.requests_burst,
        bytes_per_s=access.bytes_per_s,
        bytes_burst=access.bytes_burst,
        refused_per_s=access.refused_lines_per_s,
        refused_burst=access.refused_lines_burst,
    )


def session_limits(config: Config) -> SessionLimits:
    access = config.access
    return SessionLimits(whole_ms=round(access.session_s * 1000), idle_ms=round(access.session_idle_s * 1000))
