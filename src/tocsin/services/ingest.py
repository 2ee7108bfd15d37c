"""Takes a body in: parse, check, stamp, route, append; nothing is answered before it is durable."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import xxhash

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.clock import Clock
from tocsin.errors import BackpressureError, InvalidInputError
from tocsin.events import EventBatch, encode_events
from tocsin.ingest.parsing.line_error import LineError
from tocsin.log.abstract import Append, Appended, DeadLetter, Log, Part, RecordKind
from tocsin.observability.meters import Meters
from tocsin.observability.metrics import INGEST_LINES, INGEST_REJECTED
from tocsin.services.receipt import Receipt, Told, receipt_of, repeated_receipt

NAME_CHARACTERS_MAX: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One body as it came. `producer` and `sequence` make it idempotent; both or none."""

    body: bytes
    content_type: str = "application/x-ndjson"
    content_encoding: str = ""
    producer: str = ""
    sequence: str = ""
    source: str = "http"


@dataclass(frozen=True, slots=True)
class _Pending:
    """A body that has been handed to the log, or that needed nothing of it."""

    receipt: Receipt
    told: Told
    errors: Sequence[LineError] = ()
    appended: Future[Appended] | None = None
