"""Which version of a dump detector is installed, without importing another team's code here.

`python -m tocsin.dump_detectors.installed NAME` prints it, after `setup` has taken the configuration, JSON on
standard input (whoever lists processes sees their words); exit code 2 with the reason if there is none or it
is refused.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from tocsin.dump_detectors.registry import dump_detector
from tocsin.ending import SwiftEnd
from tocsin.errors import InvalidInputError, TocsinError

Answer = Callable[[], str]
"""A version; blocks until it is known."""
AskVersion = Callable[[str, Mapping[str, Any]], Answer]
"""Begins to find out the version of a detector with a configuration."""

_NONE: Final = 2
_TIMEOUT_S: Final = 120.0


class Asking:
    """The question, under way, which version workers would run: an import may take seconds, elsewhere."""

    def __init__(self, name: str, config: Mapping[str, Any]) -> None:
        self._name: Final = name
        self._popen: Final = subprocess.Popen(  # noqa: S603 - this package itself, by the same Python
            [sys.executable, "-m", "tocsin.dump_detectors.installed", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._config: Final = msgspec.json.encode(config).decode()

    def answer(self) -> str:
        """The version; blocks for it, once.

        InvalidInputError, with the reason, when it can't be used, or not with this configuration: found out
        here, since each device would stop at its next dump.
        """
        try:
            told, complaint = self._popen.communicate(self._config, timeout=_TIMEOUT_S)
        except subprocess.TimeoutExpired as error:
            self._popen.kill()
            self._popen.communicate()
            detail = f"the dump detector {self._name!r} takes more than {_TIMEOUT_S:g} s to be imported"
            raise InvalidInputError(detail, field="dump_detectors") from error
        if self._popen.returncode:
            reason = complaint.strip().rpartition("\n")[2]
            reason = reason or f"its import ended with {self._popen.returncode}"
            raise InvalidInputError(f"dump_detectors: {self._name}: {reason}", field="dump_detectors")
        return told.rpartition("\n")[2]


def ask_installed(name: str, config: Mapping[str, Any]) -> Answer:
    """Begin to ask in a process of its own; the answer is given, or refused, once."""
    return Asking(name, config).answer


def main() -> int:
    """Print the version as the last thing, whatever the import prints before."""
    end = SwiftEnd()
    try:
        kind = dump_detector(sys.argv[1])  # takes long, and goes on while who asks is at something else
        kind().setup(msgspec.json.decode(sys.stdin.read()))
    except TocsinError as error:
        sys.stderr.write(f"{error.detail}\n")
        return end.say(_NONE)
    except ValueError as error:
        sys.stderr.write(f"its configuration is refused: {error}\n")
        return end.say(_NONE)
    sys.stdout.write(f"\n{kind.version}")
    return end.say(0)


if __name__ == "__main__":
    sys.exit(main())
