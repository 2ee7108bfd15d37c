"""Sending what a simulator makes to a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from tocsin.cli.output import note_once

if TYPE_CHECKING:
    from tocsin.events import EventBatch


def sent(
    batches: Iterator[EventBatch],
    url: str,
    token: str,
    connections: int,
    advance: Callable[[int], None],
) -> dict[str, Any]:
    """Send until the server has taken all; what became of it, and where it went. Blocks."""
    from dataclasses import asdict

    from tocsin.client import Destination, EventSender

    sender = EventSender(
        Destination(url=url, token=token),
        connections=connections,
        on_acknowledged=advance,
        on_retry=note_once("{}; trying again, for up to ten minutes a request"),
    )
    return asdict(sender.send(batches)) | {"url": url}
