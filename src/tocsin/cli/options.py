"""Options that several commands share, and how files are described on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tocsin.files import Mapping

_FILE_PANEL = "How to read the file"

DeviceColumn = Annotated[
    str | None,
    typer.Option(
        help="Column that names the device. Default: `device`; without one, the file's name is the device.",
        rich_help_panel=_FILE_PANEL,
    ),
]
TimeColumn = Annotated[
    str | None,
    typer.Option(help="Column with the time. Default: `ts` or `timestamp`.", rich_help_panel=_FILE_PANEL),
]
TimeUnit = Annotated[
    str | None,
    typer.Option(
        help="Unit of numeric times since 1970: s, ms, us or ns. Default: by their size, else ms.",
        rich_help_panel=_FILE_PANEL,
    ),
]
TimeFormat = Annotated[
    str | None,
    typer.Option(
        help="How times are written, such as '%d/%m/%Y %H:%M'. Default: ISO 8601 or day.month.year. "
        "Without a zone they are UTC.",
        rich_help_panel=_FILE_PANEL,
    ),
]
Delimiter = Annotated[
    str | None,
    typer.Option(
        help="What parts the cells of a CSV: `,` `;` or `tab`. Default: by its header.",
        rich_help_panel=_FILE_PANEL,
    ),
]
Decimal = Annotated[
    str | None,
    typer.Option(
        help="Decimal sign of the numbers of a CSV: `.` or `,`. Default: by its numbers.",
        rich_help_panel=_FILE_PANEL,
    ),
]
StepSeconds = Annotated[
    float | None,
    typer.Option(
        help="Count time in steps of so many seconds from 2001-01-01: by the integer time column, "
        "else by the rows of each device.",
        rich_help_panel=_FILE_PANEL,
    ),
]
ArrivalColumn = Annotated[
    str | None,
    typer.Option(
        help="Column with the time of arrival. Default: the time itself.", rich_help_panel=_FILE_PANEL
    ),
]
Parameters = Annotated[
    str | None,
    typer.Option(
        help="Columns to read as parameters, with commas. Default: every numeric column that is neither "
        "device, time nor arrival.",
        rich_help_panel=_FILE_PANEL,
    ),
]
Exclude = Annotated[
    str, typer.Option(help="Columns not to take as parameters, with commas.", rich_help_panel=_FILE_PANEL)
]
Format = Annotated[
    str | None,
    typer.Option("--format", help="parquet, csv or ndjson. Default: by the file's name; a stream is ndjson."),
]
ConfigFile = Annotated[
    Path | None, typer.Option("--config", help="Configuration file (YAML). Default: $TOCSIN_CONFIG.")
]
DataFolder = Annotated[
    Path | None, typer.Option("--data", help="Data folder. Default: `data` of the configuration.")
]
ServerUrl = Annotated[
    str, typer.Option("--url", envvar="TOCSIN_URL", help="Address of the server.", show_default=True)
]
Token = Annotated[
    str,
    typer.Option("--token", envvar="TOCSIN_TOKEN", help="Credential: a device token or an API key."),
]
CaFile = Annotated[
    Path | None, typer.Option("--ca-file", help="Certificates to trust besides the system's (PEM).")
]
SkipDamaged = Annotated[
    bool,
    typer.Option(
        "--skip-damaged", help="Leave out files of the lake that are damaged; else they are an error."
    ),
]


def mapping_of(
    device_column: str | None,
    time_column: str | None,
    time_unit: str | None,
    time_format: str | None,
    step_seconds: float | None,
    arrival_column: str | None,
    parameters: str | None,
    exclude: str,
    delimiter: str | None,
    decimal: str | None,
) -> Mapping:
    """The options as one value."""
    from tocsin.files import Mapping

    return Mapping(
        device_column=device_column,
        time_column=time_column,
        time_unit=time_unit,
        time_format=time_format,
        step_seconds=step_seconds,
        arrival_column=arrival_column,
        parameters=names(parameters) if parameters is not None else None,
        exclude=names(exclude),
        delimiter="\t" if delimiter == "tab" else delimiter,
        decimal=decimal,
    )


def names(text: str) -> tuple[str, ...]:
    """The names in a list with commas.

    >>> names("a, b")
    ('a', 'b')
    """
    return tuple(name.strip() for name in text.split(",") if name.strip())
