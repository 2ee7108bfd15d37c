"""`tocsin serve`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.cli.opened import config_of
from tocsin.cli.options import ConfigFile, DataFolder
from tocsin.cli.output import Exit, JsonFlag, fail, finish, note

if TYPE_CHECKING:
    from tocsin.bootstrap import Application


def serve(
    config: ConfigFile = None,
    data: DataFolder = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: `http.host`.")] = None,
    port: Annotated[int | None, typer.Option(help="Port; 0 takes a free one. Default: `http.port`.")] = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print what is in force, secrets masked, and end.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Take in events, detect, and serve API and pages.

    Ctrl-C or SIGTERM ends it; what was acknowledged is kept.
    """
    from tocsin.config import print_config as print_config_of

    loaded = config_of(config, data, http_host=host, http_port=port)
    if print_config:
        print(print_config_of(loaded), end="")
        return
    from tocsin.bootstrap import Application
    from tocsin.observability.logging import configure_logging

    configure_logging(loaded.observability.log_level, loaded.observability.log_format)
    allow_many_files()
    application = Application(loaded)
    try:
        _run(application)
    finally:
        application.stop()
    if application.runtime.failure is not None:
        fail("failed", f"{application.runtime.failure}; what was acknowledged is safe", json)
    finish({"stopped": True, "data": str(loaded.data)}, ["stopped"], json, Exit.OK)


def allow_many_files() -> None:
    """Open as many files as the system lets this process: every connection is one, and they must not run out.

    A thread that finds none left may have to end the process.
    """
    import resource
    from contextlib import suppress

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):  # some systems say `unlimited` and mean less
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _run(application: Application) -> None:
    end_on_signals(application)
    application.start()
    note(f"Data: {application.config.data.resolve()}")
    if application.admin_key is not None:
        note(f"Admin key, shown this once: {application.admin_key}")
    note(f"Ready: {application.server.url}")
    application.wait()


def end_on_signals(application: Application) -> None:
    """Ctrl-C and SIGTERM let the application end in order; a second one ends the process at once."""
    import signal

    def end(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        application.end()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
