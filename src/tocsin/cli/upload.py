"""`tocsin upload`"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tocsin.cli.options import CaFile, ServerUrl, Token
from tocsin.cli.output import Exit, JsonFlag, counted, finish, lines_of, note, note_once, progress
from tocsin.cli.targets import require_file

if TYPE_CHECKING:
    from tocsin.client import DumpFile, DumpJournal


def upload(
    folder: Annotated[
        Path, typer.Argument(help="Folder with DEVICE/[EPOCH-]SEQUENCE.zip; devices are percent-encoded.")
    ],
    url: ServerUrl = "http://127.0.0.1:8765",
    token: Token = "",
    device: Annotated[
        str, typer.Option(help="All dumps are this device's and lie in the folder itself: SEQUENCE.zip.")
    ] = "",
    application: Annotated[str, typer.Option(help="Product line of the devices.")] = "",
    software: Annotated[str, typer.Option(help="Version of the software that the devices run.")] = "",
    connections: Annotated[int, typer.Option(help="Parallel connections; a device stays on one.")] = 4,
    ca_file: CaFile = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Remember here what was answered; run again with it, only the rest is sent."),
    ] = None,
    delivery: Annotated[
        Path | None,
        typer.Option(
            help="Plan of `simulate dumps`: send in its order and break connections, to test a server."
        ),
    ] = None,
    json: JsonFlag = False,
) -> None:
    """Send log dumps to a server.

    In order per device, and tried again until the server has decided about each. The exit code is 1 if it
    found a conflict or a bad archive. A file SEQUENCE.json beside a dump may say application, version,
    collected_from and collected_to.
    """
    from tocsin.client import Delivery, Destination, DumpSender, find_dumps, read_delivery
    from tocsin.visible import visible

    began = time.perf_counter()
    destination = Destination(url=url, token=token, ca_file=ca_file)
    if delivery is not None and resume is not None:
        raise typer.BadParameter("--delivery sends some dumps twice, which --resume would leave out")
    dumps = find_dumps(folder, device)
    plan = [Delivery(dump) for dump in dumps] if delivery is None else read_delivery(delivery, dumps)
    devices = len({dump.device for dump in dumps})
    note(f"{counted(len(dumps), 'dump')} of {counted(devices, 'device')}")
    journal = _journal(resume)
    with progress("uploading", len(plan)) as advance:

        def decided(dump: DumpFile, outcome: str, reason: str) -> None:
            if reason:
                note(visible(f"{dump.path}: {outcome}: {reason}"))
            advance(1)

        sender = DumpSender(
            destination,
            connections=connections,
            application=application,
            version=software,
            journal=journal,
            on_decided=decided,
            on_retry=note_once("{}; trying again, for up to ten minutes a dump"),
        )
        try:
            sent = sender.deliver(plan)
        finally:
            if journal is not None:
                journal.close()
    if delivery is None:
        del sent["cuts"]
    result = sent | {"seconds": round(time.perf_counter() - began, 3)}
    problem = sent["conflict"] or sent["quarantined"]
    finish(result, lines_of(result), json, Exit.PROBLEM if problem else Exit.OK)


def _journal(path: Path | None) -> DumpJournal | None:
    from tocsin.client import DumpJournal

    require_file(path, "resume")
    return None if path is None else DumpJournal(path)
