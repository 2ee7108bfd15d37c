"""Puts the commands together and turns errors into one line and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from typing import Annotated

import typer

from tocsin import __version__
from tocsin.cli.anomalies import anomalies
from tocsin.cli.backtest import backtest
from tocsin.cli.demo import demo
from tocsin.cli.detector import detector
from tocsin.cli.digest import digest
from tocsin.cli.doctor import doctor
from tocsin.cli.dumps import dumps
from tocsin.cli.expected import expected
from tocsin.cli.explain import explain
from tocsin.cli.feedback import feedback
from tocsin.cli.ingest import ingest
from tocsin.cli.keys import keys
from tocsin.cli.lake import lake
from tocsin.cli.maintenance import maintenance
from tocsin.cli.output import Exit, exit_code_of, note, print_error
from tocsin.cli.people import people
from tocsin.cli.query import query
from tocsin.cli.replay import replay
from tocsin.cli.serve import serve
from tocsin.cli.simulate import simulate_app
from tocsin.cli.templates import templates
from tocsin.cli.trace import trace
from tocsin.cli.upload import upload
from tocsin.cli.version import version
from tocsin.errors import TocsinError

app = typer.Typer(
    name="tocsin",
    help="Watches fleets of IoT devices: keeps every record, learns what is normal, and proves every alarm.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
for _command in (
    demo,
    serve,
    ingest,
    upload,
    dumps,
    anomalies,
    people,
    keys,
    feedback,
    backtest,
    replay,
    explain,
    query,
    lake,
    templates,
    expected,
    digest,
    doctor,
    trace,
    version,
):
    app.command()(_command)
app.add_typer(simulate_app, name="simulate")
app.add_typer(detector)
app.add_typer(maintenance)


_UNWRITABLE = ("storage_unavailable", "name another place, or change who may use this one")
_FULL = ("storage_full", "free space there, or name another place, and run it again")
_TOO_LONG = ("storage_unavailable", "name a shorter one")
_DISK = {
    errno.ENAMETOOLONG: _TOO_LONG,
    errno.EACCES: _UNWRITABLE,
    errno.EPERM: _UNWRITABLE,
    errno.EROFS: _UNWRITABLE,
    errno.ENOSPC: _FULL,
    errno.EDQUOT: _FULL,
}
"""What the state of a disk, which is nobody's bug, is called where nothing nearer has answered for it."""


def _say_version(wanted: bool) -> None:
    if wanted:
        print(f"tocsin {__version__}")
        raise typer.Exit


@app.callback()
def root(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_say_version,
            is_eager=True,
            help="Print the version; `tocsin version` says what else results depend on.",
        ),
    ] = False,
) -> None:
    """Watches fleets of IoT devices: keeps every record, learns what is normal, and proves every alarm.

    Exit codes: 0 ok, 1 a problem or mismatch was found, 2 wrong usage, input or SQL, 3 busy or
    unreachable.
    """


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in words
    # --debug may stand anywhere, also after the command, where people add it when something went wrong.
    words = [word for word in words if word != "--debug"]
    try:
        return _run(words)
    except Exception as error:
        if debug:
            raise
        return _report(error, "--json" in words)


def _run(words: list[str]) -> int:
    """Typer answers wrong usage itself (2) and ends in SystemExit; errors of the command pass through."""
    try:
        app(words, prog_name="tocsin")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(Exit.OK)
    except KeyboardInterrupt:
        note("stopped")
        return int(Exit.INTERRUPTED)
    except BrokenPipeError:
        # The reader of our output has had enough, as `head` does. Python would complain about the flush.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return int(Exit.OK)


def _report(error: Exception, as_json: bool) -> int:
    if isinstance(error, TocsinError):
        print_error(error.code, error.detail, as_json, error.field)
        return int(exit_code_of(error))
    if isinstance(error, OSError) and error.errno in _DISK:
        code, remedy = _DISK[error.errno]
        where = error.filename or "a file that this command writes"
        print_error(code, f"{where}: {error.strerror}: {remedy}", as_json)
        return int(Exit.PROBLEM)
    print_error("internal", f"{type(error).__name__}: {error}; run again with --debug for the place", as_json)
    return int(Exit.PROBLEM)
