"""`tocsin doctor`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tocsin.cli.opened import config_of, require_folder
from tocsin.cli.options import ConfigFile, DataFolder
from tocsin.cli.output import Exit, JsonFlag, finish

if TYPE_CHECKING:
    from tocsin.cli.checks import Check


def doctor(config: ConfigFile = None, data: DataFolder = None, json: JsonFlag = False) -> None:
    """Check versions, disk, clocks and every stored byte.

    Each problem is named with its remedy. A folder that is named by --data must hold data.
    """
    from tocsin.cli.checks import machine_checks
    from tocsin.cli.integrity import stored_checks

    loaded = config_of(config, data)
    if data is not None and _holds_nothing(data):
        require_folder(loaded)
    folder = loaded.data
    checks = machine_checks(folder)
    if all(check.ok for check in checks if check.name in {"sqlite", "permissions"}):
        checks += stored_checks(loaded)
    bad = [check for check in checks if not check.ok]
    result = {"ok": not bad, "data": str(folder), "checks": msgspec.to_builtins(checks)}
    lines = [f"{_outcome(check):7} {check.name}: {check.detail}" for check in checks]
    lines += [f"        {check.name}: {check.remedy}" for check in bad]
    finish(result, lines, json, Exit.PROBLEM if bad else Exit.OK)


def _outcome(check: Check) -> str:
    if check.skipped:
        return "skipped"
    return "ok" if check.ok else "PROBLEM"


def _holds_nothing(data: Path) -> bool:
    """Whether there is no folder, or another's. What is in the way of one is for the checks to name."""
    try:
        return not (data / "log").exists() and (data.is_dir() or not data.exists())
    except PermissionError:
        return False
