"""`tocsin serve`"""

from __future__ import annotations

import os
import time
from functools import partial
from typing import TYPE_CHECKING, Annotated, Protocol

import typer

from tocsin import threads
from tocsin.cli.opened import config_of
from tocsin.cli.options import ConfigFile, DataFolder
from tocsin.cli.output import Exit, JsonFlag, fail, finish, note, warn

if TYPE_CHECKING:
    from tocsin.bootstrap import Application
    from tocsin.config.sections import HttpConfig


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

    Ctrl-C or SIGTERM ends it; what was acknowledged is kept. A second one ends it at once.
    """
    from tocsin.config import print_config as print_config_of
    from tocsin.memory import be_thrifty

    be_thrifty()
    threads.take_short_turns()
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
    if application.failure is not None:
        fail("failed", f"{application.failure}; what was acknowledged is safe", json)
    finish({"stopped": True, "data": str(loaded.data)}, ["stopped"], json, Exit.OK)


def warn_without_tls(http: HttpConfig) -> None:
    """Say it where others than this machine may connect and nothing is encrypted."""
    if http.tls_cert is None and not _is_own(http.host):
        warn(
            "without TLS, passwords and tokens can be read on the way: set http.tls_cert and http.tls_key, "
            "or let nothing but a proxy with TLS reach this address"
        )


def _is_own(host: str) -> bool:
    from ipaddress import ip_address

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


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
    end_on_signals(application, application.config.processing.stop_s)
    note(f"Data: {application.config.data.resolve()}")
    begin_to_serve(application)
    note(f"Ready: {application.server.url}")
    warn_without_tls(application.config.http)
    application.wait()


def begin_to_serve(application: Application) -> None:
    """Start, and look for garbage from then on as a process does that goes on for months."""
    from tocsin.memory import keep_collections_short

    application.start(on_bound=partial(show_admin_key, application))
    keep_collections_short(application.clock)


def show_admin_key(application: Application) -> None:
    """At the first start of a folder: nobody can read it again."""
    key = application.bootstrap_admin()
    if key is not None:
        note(f"Admin key, shown this once: {key}")


class Ending(Protocol):
    """What can be told to end."""

    def end(self) -> None:
        """Let its `wait` return."""
        ...


def end_on_signals(application: Ending, stop_s: float) -> None:
    """Ctrl-C and SIGTERM let the application end in order, for at most `stop_s`.

    A second one, or the end of that time, ends the process at once, whatever it is at. That is as safe as a
    power cut: what was acknowledged is on the disk, and the next start makes the rest from it.
    """
    import signal

    def end(_number: int, _frame: object) -> None:
        for each in (signal.SIGINT, signal.SIGTERM):
            signal.signal(each, signal.SIG_DFL)
        threads.start("stop-limit", partial(_end_at_once_after, stop_s))
        application.end()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)


def _end_at_once_after(seconds: float) -> None:
    time.sleep(seconds)
    note(f"tocsin: stopping took longer than {seconds:g} s, ended at once; what was acknowledged is safe")
    os._exit(int(Exit.PROBLEM))
