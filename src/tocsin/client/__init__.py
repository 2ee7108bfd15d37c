"""Sends events and dumps to a server over HTTP: in order per device, again after failures, never twice."""

from tocsin.client.connection import Sent
from tocsin.client.destination import Backoff, Destination, RefusedError, UnavailableError
from tocsin.client.dump_delivery import Delivery, read_delivery
from tocsin.client.dump_facts import told_of
from tocsin.client.dump_folder import DumpFile, find_dumps
from tocsin.client.dump_journal import DumpJournal
from tocsin.client.dump_sender import DumpSender
from tocsin.client.journal import Journal
from tocsin.client.retrying import unreached
from tocsin.client.sender import EventSender, send

__all__ = [
    "Backoff",
    "Delivery",
    "Destination",
    "DumpFile",
    "DumpJournal",
    "DumpSender",
    "EventSender",
    "Journal",
    "RefusedError",
    "Sent",
    "UnavailableError",
    "find_dumps",
    "read_delivery",
    "send",
    "told_of",
    "unreached",
]
