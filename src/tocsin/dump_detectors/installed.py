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
from tocsin.errors import InvalidInputError, TocsinError

VersionOf = Callable[[str, Mapping[str, Any]], str]
"""From a detector's name and configuration to its version."""

_NONE: Final = 2
_TIMEOUT_S: Final = 120.0


def installed_version(name: str, config: Mapping[str, Any]) -> str:
    """The version of the detector that workers would run; blocks for its import in a process of its own.

    InvalidInputError, with the reason, when it can't be used, or not with this configuration: found out
    here, since each device would stop at its next dump.
    """
    try:
        told = subprocess.run(  # noqa: S603 - this package itself, by the same Python
            [sys.executable, "-m", "tocsin.dump_detectors.installed", name],
            input=msgspec.json.encode(config).decode(),
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        detail = f"the dump detector {name!r} takes more than {_TIMEOUT_S:g} s to be imported"
        raise InvalidInputError(detail, field="dump_detectors") from error
    if told.returncode:
        reason = told.stderr.strip().rpartition("\n")[2] or f"its import ended with {told.returncode}"
        raise InvalidInputError(f"dump_detectors: {name}: {reason}", field="dump_detectors")
    return told.stdout.rpartition("\n")[2]


def main() -> int:
    """Print the version as the last thing, whatever the import prints before."""
    try:
        config = msgspec.json.decode(sys.stdin.read())
        kind = dump_detector(sys.argv[1])
        kind().setup(config)
    except TocsinError as error:
        sys.stderr.write(f"{error.detail}\n")
        return _NONE
    except ValueError as error:
        sys.stderr.write(f"its configuration is refused: {error}\n")
        return _NONE
    sys.stdout.write(f"\n{kind.version}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
