"""`tocsin detector new`"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tocsin.cli.output import JsonFlag, finish
from tocsin.cli.targets import require_folder


def new(
    name: Annotated[str, typer.Argument(help="Name of the detector: lower case letters, digits, _ and -.")],
    out: Annotated[
        Path | None, typer.Option(help="Folder for it, empty or absent. Default: the name.")
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Write a package with a detector of dumps that works, is tested and can be released, to begin with."""
    from tocsin.dump_detectors.scaffolding import write_package

    folder = out or Path(name)
    require_folder(folder)
    written = write_package(name, folder)
    result = {"name": name, "folder": str(folder), "files": [str(path) for path in written]}
    lines = [
        *map(str, written),
        f"next: tocsin detector test {folder if len(folder.parts) > 1 else f'./{folder}'}",
    ]
    finish(result, lines, json)
