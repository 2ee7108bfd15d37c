"""`tocsin doctor`"""

from __future__ import annotations

import msgspec

from tocsin.cli.opened import config_of
from tocsin.cli.options import ConfigFile, DataFolder
from tocsin.cli.output import Exit, JsonFlag, finish


def doctor(config: ConfigFile = None, data: DataFolder = None, json: JsonFlag = False) -> None:
    """Check versions, disk, clocks and every stored byte.

    Each problem is named with its remedy.
    """
    from tocsin.cli.checks import machine_checks
    from tocsin.cli.integrity import stored_checks

    loaded = config_of(config, data)
    folder = loaded.data
    checks = machine_checks(folder)
    if all(check.ok for check in checks if check.name in {"sqlite", "permissions"}):
        checks += stored_checks(loaded)
    bad = [check for check in checks if not check.ok]
    result = {"ok": not bad, "data": str(folder), "checks": msgspec.to_builtins(checks)}
    lines = [f"{'ok     ' if check.ok else 'PROBLEM'} {check.name}: {check.detail}" for check in checks]
    lines += [f"        {check.name}: {check.remedy}" for check in bad]
    finish(result, lines, json, Exit.PROBLEM if bad else Exit.OK)
