"""What every command says and how it ends: text or JSON on stdout, errors and progress on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from tocsin.visible import visible_json, visible_lines

if TYPE_CHECKING:
    from collections.abc import Callable

    from tocsin.errors import TocsinError

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print one JSON object as the last line, for machines.")
]


class Exit(IntEnum):
    """Exit codes of all commands."""

    OK = 0
    PROBLEM = 1
    USAGE = 2
    UNAVAILABLE = 3
    INTERRUPTED = 130


def finish(result: dict[str, Any], lines: list[str], as_json: bool, code: Exit = Exit.OK) -> None:
    """Print the result in the form asked for, then end with `code` unless it is 0."""
    if as_json:
        print(visible_json(json.dumps(result, ensure_ascii=False, allow_nan=False)), flush=True)
    else:
        for line in lines:
            print(visible_lines(line), flush=True)
    if code is not Exit.OK:
        raise typer.Exit(int(code))


def counted(number: int, one: str, many: str = "") -> str:
    """How many, in words; `many` where an s behind `one` does not make it more.

    >>> counted(1, "dump"), counted(2, "dump"), counted(0, "person", "people")
    ('1 dump', '2 dumps', '0 people')
    """
    return f"{number} {one if number == 1 else many or one + 's'}"


def lines_of(result: dict[str, Any]) -> list[str]:
    """A result as text, one line a field.

    >>> lines_of({"counts": {"events": 2, "scored": 6}, "refused": {}, "caught_up": True})
    ['counts: events 2, scored 6', 'refused: none', 'caught_up: yes']
    """
    return [f"{name}: {_text(value)}" for name, value in result.items()]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_text(part)}" for name, part in value.items()) or "none"
    if isinstance(value, list):
        return " and ".join(map(_text, value))
    return str(value)


def exit_code_of(error: TocsinError) -> Exit:
    """Wrong input is the caller's to mend, what is busy or away may be tried again, the rest is a problem."""
    if error.status in {429, 503}:
        return Exit.UNAVAILABLE
    return Exit.USAGE if error.code in {"invalid_input", "config_invalid"} else Exit.PROBLEM


def print_error(code: str, detail: str, as_json: bool, field: str | None = None) -> None:
    """One clear line for people; for machines an object as the last line of stdout besides."""
    print(f"tocsin: {code}: {visible_lines(detail)}", file=sys.stderr, flush=True)
    if as_json:
        error = {"code": code, "detail": detail, **({"field": field} if field else {})}
        print(visible_json(json.dumps({"error": error}, ensure_ascii=False)), flush=True)


def note(text: str) -> None:
    """A line for people beside the result."""
    print(visible_lines(text), file=sys.stderr, flush=True)


def warn(text: str) -> None:
    """A line for people who are about to get something that they can hardly want."""
    print(f"tocsin: warning: {visible_lines(text)}", file=sys.stderr, flush=True)


def note_once(text: str) -> Callable[[str], None]:
    """A function that notes the text, with its argument in place of {}, the first time that it is called.

    It may be called from several threads; at worst two of them that are the first both say it.
    """
    said: list[str] = []

    def say(reason: str) -> None:
        if not said:
            said.append(reason)
            note(text.format(reason))

    return say


def fail(code: str, detail: str, as_json: bool, exit_code: Exit = Exit.PROBLEM) -> NoReturn:
    """End the command with an error that is no exception."""
    print_error(code, detail, as_json)
    raise typer.Exit(int(exit_code))


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """A bar on stderr while it is a terminal; gives a function that adds to it, from any thread."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda count: bar.advance(task, count)
