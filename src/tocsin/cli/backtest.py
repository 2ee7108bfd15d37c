"""`tocsin backtest`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.cli.options import (
    ArrivalColumn,
    ConfigFile,
    DeviceColumn,
    Exclude,
    Format,
    Parameters,
    StepSeconds,
    TimeColumn,
    TimeUnit,
    mapping_of,
)
from tocsin.cli.output import JsonFlag, finish, lines_of, note, progress

if TYPE_CHECKING:
    from tocsin.config import Config
    from tocsin.control import Settings
    from tocsin.files import EventFile
    from tocsin.runtimes.backtest.run import BacktestOptions, Summary

_TENANT = "default"


def backtest(
    file: Annotated[Path, typer.Argument(help="Parquet, CSV (also .gz) or NDJSON.")],
    out: Annotated[
        Path, typer.Option(help="Folder for verdicts.parquet, anomalies.ndjson and summary.json.")
    ],
    kind: Format = None,
    device_column: DeviceColumn = None,
    time_column: TimeColumn = None,
    time_unit: TimeUnit = "ms",
    step_seconds: StepSeconds = None,
    arrival_column: ArrivalColumn = None,
    parameters: Parameters = None,
    exclude: Exclude = "",
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
    seed: Annotated[
        int, typer.Option(help="For detectors that draw random numbers; seasonal and health draw none.")
    ] = 1,
    json: JsonFlag = False,
) -> None:
    """Run a file through detection as a server would.

    Writes what was found to a folder; needs no server.
    """
    from tocsin.config import load_config
    from tocsin.files import open_events
    from tocsin.runtimes.backtest.run import BacktestOptions

    columns = (device_column, time_column, time_unit, step_seconds, arrival_column, parameters, exclude)
    loaded = load_config(config)
    source = open_events(file, mapping_of(*columns), kind=kind)
    note(source.describe())
    options = BacktestOptions(
        out=out,
        settings=_settings(loaded, detector),
        tenant=_TENANT,
        batch_rows=batch_rows,
        partitions=partitions,
    )
    result = _result(_run(source, options, loaded), out, seed)
    finish(result, lines_of(result), json)


def _settings(config: Config, name: str | None) -> Settings:
    import msgspec

    from tocsin.detectors.registry import detector

    settings = config.settings_of(_TENANT)
    if name is None:
        return settings
    alone = {detector(name).info.name: settings.detectors.get(name, {})}
    return msgspec.structs.replace(settings, detectors=alone)


def _run(source: EventFile, options: BacktestOptions, config: Config) -> Summary:
    """The folded anomalies go through an inbox of their own, which is thrown away."""
    from tempfile import TemporaryDirectory

    from tocsin.clock import SystemClock
    from tocsin.inbox.embedded import EmbeddedInbox
    from tocsin.inbox.folding import Windows
    from tocsin.runtimes.backtest.run import run_backtest

    windows = Windows(
        correlation_ms=config.inbox.correlation_window_s * 1000,
        recurrence_ms=config.inbox.recurrence_window_s * 1000,
    )
    with TemporaryDirectory(prefix="tocsin-backtest-") as folder, progress("reading", source.rows) as advance:
        inbox = EmbeddedInbox(Path(folder) / "inbox.db", windows)
        seen = 0

        def read(rows: int) -> None:
            nonlocal seen
            advance(rows - seen)
            seen = rows

        try:
            return run_backtest(source, options, inbox, SystemClock(), read)
        finally:
            inbox.close()


def _result(summary: Summary, out: Path, seed: int) -> dict[str, Any]:
    import msgspec

    result: dict[str, Any] = msgspec.to_builtins(summary)
    return result | {"seed": seed, "out": str(out)}
