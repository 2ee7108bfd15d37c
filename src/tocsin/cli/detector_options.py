"""What the commands about detectors of dumps share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

DetectorName = Annotated[
    str,
    typer.Argument(
        help="Name of an installed detector, or a path with a slash: the folder of its package.",
        metavar="NAME",
    ),
]
Devices = Annotated[
    list[str] | None, typer.Option("--device", help="Of this device alone; may be given several times.")
]
DetectorConfig = Annotated[
    Path | None, typer.Option("--config", help="What `setup` is given: a file with a YAML or JSON object.")
]


def detector_config(path: Path | None) -> dict[str, Any]:
    """The object in the file; InvalidInputError if there is none."""
    import msgspec

    from tocsin.errors import InvalidInputError

    if path is None:
        return {}
    try:
        return msgspec.yaml.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidInputError(f"{path}: {error}", field="config") from error
