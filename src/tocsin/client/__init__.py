"""Sends events to a server over HTTP: in order per device, again after failures, never twice."""

from tocsin.client.connection import Sent
from tocsin.client.destination import Backoff, Destination, RefusedError, UnavailableError
from tocsin.client.journal import Journal
from tocsin.client.sender import EventSender, send

__all__ = [
    "Backoff",
    "Destination",
    "EventSender",
    "Journal",
    "RefusedError",
    "Sent",
    "UnavailableError",
    "send",
]
