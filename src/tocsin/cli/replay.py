"""`tocsin replay`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.cli.opened import TENANT, config_of, opened, wait_until_caught_up
from tocsin.cli.options import ConfigFile, DataFolder
from tocsin.cli.output import Exit, JsonFlag, finish, lines_of, progress

if TYPE_CHECKING:
    from tocsin.bootstrap import Application
    from tocsin.runtimes.embedded.replaying import Replayed


def replay(
    data: DataFolder = None,
    config: ConfigFile = None,
    device: Annotated[
        list[str] | None, typer.Option(help="Only this device; may be given again. Default: all.")
    ] = None,
    correct: Annotated[
        bool, typer.Option("--correct", help="Correct devices that differ: new revisions, old ones kept.")
    ] = False,
    json: JsonFlag = False,
) -> None:
    """Derive devices again from their raw records and compare.

    Exit code 1 if any verdict differs. Opens the data folder, so stop the server first. Nothing stored
    is changed, except that --correct publishes revisions where something differs, as for late data.
    """
    with opened(config_of(config, data), corrects=correct) as application:
        replayed = _replay(application, device or [])
        differing = [each for each in replayed if each.differing]
        if correct and differing:
            _correct(application, differing)
        digests = application.runtime.views.digest(TENANT)
    result: dict[str, Any] = {
        "devices": len(replayed),
        "readings": sum(each.readings for each in replayed),
        "differing": {each.device: list(each.differing) for each in differing},
        "corrected": len(differing) if correct else 0,
        "digest_final": digests.digest_final,
    }
    finish(result, lines_of(result), json, Exit.PROBLEM if differing and not correct else Exit.OK)


def _replay(application: Application, devices: list[str]) -> list[Replayed]:
    from tocsin.errors import NotFoundError
    from tocsin.runtimes.embedded.history import DeviceHistory
    from tocsin.runtimes.embedded.replaying import replay as replay_devices

    history = DeviceHistory(application.stores.log, application.stores.lake)
    with progress("replaying", len(devices) or None) as advance:
        replayed = []
        for each in replay_devices(application.runtime.workers, history, TENANT, devices):
            replayed.append(each)
            advance(1)
    unknown = set(devices) - {each.device for each in replayed}
    if unknown:
        raise NotFoundError(f"there is no device {min(unknown)!r}")
    return replayed


def _correct(application: Application, differing: list[Replayed]) -> None:
    from tocsin.runtimes.embedded.replaying import order_corrections

    order_corrections(application.stores.log, TENANT, differing, application.clock.now_ms())
    wait_until_caught_up(application, corrected=True)
