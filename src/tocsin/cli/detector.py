"""`tocsin detector`: for teams that write detectors of dumps."""

from __future__ import annotations

import typer

from tocsin.cli.detector_check import check
from tocsin.cli.detector_new import new
from tocsin.cli.detector_run import run

detector = typer.Typer(
    name="detector",
    help="Write, check and try a detector of dumps.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)
detector.command()(new)
detector.command("test")(check)
detector.command()(run)
