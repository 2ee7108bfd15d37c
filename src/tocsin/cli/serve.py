"""`tocsin serve`"""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.cli.options import ConfigFile
from tocsin.cli.output import note

if TYPE_CHECKING:
    from tocsin.bootstrap import Application


def serve(
    config: ConfigFile = None,
    show_config: Annotated[
        bool, typer.Option("--print-config", help="Print the configuration in force, then end.")
    ] = False,
) -> None:
    """Take in readings, detect, and serve the API and the pages, until told to stop (Ctrl-C, SIGTERM)."""
    from tocsin.config import load_config, print_config

    loaded = load_config(config)
    if show_config:
        typer.echo(print_config(loaded), nl=False)
        return
    from tocsin.bootstrap import Application
    from tocsin.observability.logging import configure_logging

    configure_logging(loaded.observability.log_level, loaded.observability.log_format)
    application = Application(loaded)
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: application.end())
        _announce(application)
        application.start()
        note(f"Ready: {application.server.url}")
        application.wait()
    finally:
        application.stop()
    if application.runtime.failure is not None:
        raise application.runtime.failure


def _announce(application: Application) -> None:
    note(f"Data: {application.config.data.resolve()}")
    if application.admin_key is not None:
        note(f"Admin key, shown this once: {application.admin_key}")
