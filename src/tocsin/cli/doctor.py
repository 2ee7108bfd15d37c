"""`tocsin doctor`"""

from __future__ import annotations

from pathlib import Path

import msgspec

from tocsin.cli.options import ConfigFile, DataFolder
from tocsin.cli.output import Exit, JsonFlag, finish


def doctor(config: ConfigFile = None, data: DataFolder = None, json: JsonFlag = False) -> None:
    """Check versions, disk, permissions, clocks and every stored byte; name each problem with its remedy."""
    from tocsin.cli.checks import machine_checks
    from tocsin.config import load_config

    folder: Path = data or load_config(config).data
    checks = machine_checks(folder)
    bad = [check for check in checks if not check.ok]
    result = {"ok": not bad, "data": str(folder), "checks": msgspec.to_builtins(checks)}
    lines = [f"{'ok     ' if check.ok else 'PROBLEM'} {check.name}: {check.detail}" for check in checks]
    lines += [f"        {check.name}: {check.remedy}" for check in bad]
    finish(result, lines, json, Exit.PROBLEM if bad else Exit.OK)
