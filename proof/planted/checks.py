"""The checks that planted bugs have to get past, and what each says when it has found something."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from proof.planted.workshop import Run

_PYTEST: Final = ("pytest", "-q", "-x", "-s", "-p", "no:cacheprovider")
_ALONE: Final = ("-m", "not services")
_MODEL_TESTS: Final = ("tests/simulation/test_model.py", "tests/simulation/test_corrections.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A command (module and arguments) that ends with 0 when it finds nothing, and with 1 otherwise.

    `effort` names the number in its last line, a JSON object, that says how much it took: seeds, states.
    """

    name: str
    command: Sequence[str]
    effort: str = ""
    limit_s: float = 300


def tests(chosen: Sequence[str]) -> Check:
    """Some tests of the project, as a check; the name is that of the first one's file."""
    file = chosen[0].partition("::")[0].removeprefix("tests/")
    return Check(name=file, command=(*_PYTEST, *chosen))


_DUMP_TESTS: Final = (
    "tests/unit/test_archives.py",
    "tests/contract/test_blobs.py",
    "tests/integration/http/test_dumps.py",
    "tests/integration/test_blobs_synced.py",
)

CHECKS: Final = {
    check.name: check
    for check in (
        Check(
            name="simulation",
            command=("proof.simulation", "--seeds", "1:60", "--first"),
            effort="seeds",
            limit_s=600,
        ),
        Check(name="model", command=(*_PYTEST, *_ALONE, *_MODEL_TESTS)),
        Check(name="power", command=("proof.power", "--seconds", "60"), effort="power_loss_states"),
        Check(name="kills", command=("proof.kills", "--seconds", "90"), effort="kill_points"),
        Check(name="parser", command=("tests.fuzz.parser", "--seconds", "20"), effort="executions"),
        Check(name="contracts", command=(*_PYTEST, *_ALONE, "tests/contract")),
        Check(name="dumps", command=(*_PYTEST, *_DUMP_TESTS)),
        Check(name="laws", command=(*_PYTEST, *_ALONE, "tests/unit"), limit_s=600),
    )
}


def caught(run: Run) -> bool:
    """Whether the check has found something; a check that hangs or dies has noticed too, loudly."""
    return run.code != 0


def effort(check: Check, run: Run) -> str:
    """How much it took, in words; empty where the check does not say."""
    number = _last_object(run.output).get(check.effort) if check.effort else None
    return "" if number is None else f"{number} {check.effort.replace('_', ' ')}"


def _last_object(output: str) -> dict[str, Any]:
    for line in reversed(output.splitlines()):
        if line.startswith("{"):
            try:
                found: dict[str, Any] = json.loads(line)
            except ValueError:
                return {}
            return found
    return {}
