"""The reference page of the commands, from the commands themselves: `python -m tocsin.cli.reference`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final, cast

from typer.core import TyperArgument, TyperCommand, TyperGroup, TyperOption
from typer.main import get_command

from tocsin.cli.app import app

_HEAD: Final = """# Commands

{summary}

Every command takes `--json`, which makes the last line of its output one JSON object, and `--help`. Progress
and notes go to stderr. `tocsin --version` prints the version, `--debug` shows the traceback of an error.

| exit code | meaning |
|---|---|
| 0 | ok |
| 1 | a problem or mismatch was found, or it can't be done: too large a result, a missing right |
| 2 | wrong usage or input: an option, a file, SQL that can't be run |
| 3 | busy, unreachable, or the data folder is in use: try again |
| 130 | interrupted |

The code is the same whether a command opens the data folder or asks a server.

This page is generated from `src/tocsin/cli`; a test proves it up to date (`make reference` writes it anew).
"""
_COMMON: Final = frozenset({"json", "help"})


def render_reference() -> str:
    """The page, the same for every terminal and environment."""
    group = cast("TyperGroup", get_command(app))  # several commands make a group
    summary = " ".join((group.help or "").partition("\n")[0].split())
    sections = [_section(name, command) for name, command in _commands(group)]
    return "\n".join([_HEAD.format(summary=summary), *sections])


def _commands(group: TyperGroup, before: str = "") -> Iterator[tuple[str, TyperCommand | TyperGroup]]:
    """All commands by name; one that has commands of its own comes before them."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, TyperGroup):
            if command.invoke_without_command:
                yield f"{before}{name}", command
            yield from _commands(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", cast("TyperCommand", command)


def _section(name: str, command: TyperCommand | TyperGroup) -> str:
    arguments = [each for each in command.params if isinstance(each, TyperArgument)]
    options = [each for each in command.params if isinstance(each, TyperOption) and each.name not in _COMMON]
    words = ["tocsin", name, *(_placeholder(each) for each in arguments), *(["[OPTIONS]"] if options else [])]
    parts = [f"## tocsin {name}\n", f"{_text(command.help)}\n", f"```\n{' '.join(words)}\n```\n"]
    if rows := [*_arguments(arguments), *_options(options)]:
        parts.append("| argument or option | meaning | default |\n|---|---|---|")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)


def _placeholder(argument: TyperArgument) -> str:
    word = (argument.name or "").upper() + ("…" if argument.nargs == -1 else "")
    return word if argument.required else f"[{word}]"


def _arguments(arguments: list[TyperArgument]) -> Iterator[str]:
    for argument in arguments:
        yield f"| `{_placeholder(argument)}` | {_text(getattr(argument, 'help', ''))} | |"


def _options(options: list[TyperOption]) -> Iterator[str]:
    for option in options:
        words = ", ".join(f"`{word}`" for word in option.opts)
        variable = f" Also `${option.envvar}`." if option.envvar else ""
        yield f"| {words} | {_text(option.help)}{variable} | {_default(option)} |"


def _default(option: TyperOption) -> str:
    value = option.default
    if option.is_flag or value in (None, "", ()) or callable(value):
        return ""
    return f"`{value}`"


def _text(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(render_reference())
