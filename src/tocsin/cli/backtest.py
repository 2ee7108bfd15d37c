"""`tocsin backtest`"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.cli.event_files import note_refused, open_described
from tocsin.cli.options import (
    ArrivalColumn,
    ConfigFile,
    Decimal,
    Delimiter,
    DeviceColumn,
    Exclude,
    Format,
    Parameters,
    StepSeconds,
    TimeColumn,
    TimeFormat,
    TimeUnit,
    mapping_of,
)
from tocsin.cli.output import JsonFlag, finish, lines_of, progress
from tocsin.cli.targets import require_folder

if TYPE_CHECKING:
    from tocsin.config import Config
    from tocsin.control import Settings
    from tocsin.files import EventFile
    from tocsin.inbox.abstract import Inbox
    from tocsin.runtimes.backtest.results import Summary
    from tocsin.runtimes.backtest.run import BacktestOptions

_TENANT = "default"


class RuntimeName(StrEnum):
    """Where the processor runs."""

    EMBEDDED = "embedded"
    SPARK = "spark"


def backtest(
    file: Annotated[Path, typer.Argument(help="Parquet, CSV (also .gz) or NDJSON.")],
    out: Annotated[
        Path, typer.Option(help="Folder for verdicts.parquet, anomalies.ndjson and summary.json.")
    ],
    kind: Format = None,
    device_column: DeviceColumn = None,
    time_column: TimeColumn = None,
    time_unit: TimeUnit = None,
    time_format: TimeFormat = None,
    step_seconds: StepSeconds = None,
    arrival_column: ArrivalColumn = None,
    parameters: Parameters = None,
    exclude: Exclude = "",
    delimiter: Delimiter = None,
    decimal: Decimal = None,
    detector: Annotated[
        str | None, typer.Option(help="Run this detector alone. Default: those of the configuration.")
    ] = None,
    config: ConfigFile = None,
    batch_rows: Annotated[
        int, typer.Option(min=1, help="Rows read and processed at a time; no result depends on it.")
    ] = 50_000,
    partitions: Annotated[
        int, typer.Option(min=1, max=4096, help="Partitions; no result depends on it.")
    ] = 1,
    runtime: Annotated[
        RuntimeName, typer.Option(help="spark needs the extra `spark` and Java; no digest depends on it.")
    ] = RuntimeName.EMBEDDED,
    master: Annotated[
        str, typer.Option(help="Spark's master, such as local[2] or spark://host:7077.")
    ] = "local[2]",
    seed: Annotated[
        int, typer.Option(help="For detectors that draw random numbers; seasonal and health draw none.")
    ] = 1,
    json: JsonFlag = False,
) -> None:
    """Run a file through detection as a server would.

    Writes what was found to a folder; needs no server.
    """
    from tocsin.config import load_config
    from tocsin.runtimes.backtest.run import BacktestOptions

    require_folder(out)
    times = (time_unit, time_format, step_seconds)
    columns = (device_column, time_column, *times, arrival_column, parameters, exclude, delimiter, decimal)
    loaded = load_config(config)
    source = open_described(file, mapping_of(*columns), kind=kind)
    options = BacktestOptions(
        out=out,
        settings=_settings(loaded, detector),
        tenant=_TENANT,
        batch_rows=batch_rows,
        partitions=partitions,
    )
    with progress("reading", source.rows) as advance, _empty_inbox(loaded) as inbox:
        if runtime is RuntimeName.SPARK:
            summary = _on_spark(master, source, options, inbox, _steps(advance))
        else:
            summary = _embedded(source, options, inbox, _steps(advance))
    note_refused(source.report)
    result = _result(summary, out, seed)
    finish(result | {"warnings": source.warnings}, lines_of(result), json)


def _settings(config: Config, name: str | None) -> Settings:
    import msgspec

    from tocsin.config.watched import check_detectors
    from tocsin.detectors.registry import detector

    check_detectors(config)
    settings = config.settings_of(_TENANT)
    if name is None:
        return settings
    alone = {detector(name).info.name: settings.detectors.get(name, {})}
    return msgspec.structs.replace(settings, detectors=alone)


def _embedded(
    source: EventFile, options: BacktestOptions, inbox: Inbox, read: Callable[[int], None]
) -> Summary:
    from tocsin.clock import SystemClock
    from tocsin.runtimes.backtest.run import run_backtest

    return run_backtest(source, options, inbox, SystemClock(), read)


def _on_spark(
    master: str, source: EventFile, options: BacktestOptions, inbox: Inbox, read: Callable[[int], None]
) -> Summary:
    from tocsin.clock import SystemClock
    from tocsin.runtimes.spark.run import run_on_spark
    from tocsin.runtimes.spark.session import spark_session

    with spark_session(master) as session:
        return run_on_spark(session, source, options, inbox, SystemClock(), read)


@contextmanager
def _empty_inbox(config: Config) -> Iterator[Inbox]:
    """An inbox for the anomalies of this run, which is thrown away."""
    from tempfile import TemporaryDirectory

    from tocsin.inbox.embedded import EmbeddedInbox
    from tocsin.inbox.folding import Windows

    windows = Windows(
        correlation_ms=config.inbox.correlation_window_s * 1000,
        recurrence_ms=config.inbox.recurrence_window_s * 1000,
    )
    with TemporaryDirectory(prefix="tocsin-backtest-") as folder:
        inbox = EmbeddedInbox(Path(folder) / "inbox.db", windows)
        try:
            yield inbox
        finally:
            inbox.close()


def _steps(advance: Callable[[int], None]) -> Callable[[int], None]:
    """From rows read so far to rows read since the last call."""
    seen = 0

    def read(rows: int) -> None:
        nonlocal seen
        advance(rows - seen)
        seen = rows

    return read


def _result(summary: Summary, out: Path, seed: int) -> dict[str, Any]:
    import msgspec

    result: dict[str, Any] = msgspec.to_builtins(summary)
    return result | {"seed": seed, "out": str(out)}
