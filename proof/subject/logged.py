"""What a Tocsin in this process has of one kind of decision."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from tocsin.bootstrap import Application
from tocsin.control import Control, decode_control
from tocsin.log.abstract import RecordKind

Decision = TypeVar("Decision", bound=Control)


def logged_decisions(application: Application, kind: type[Decision]) -> Iterator[Decision]:
    """Those in the lake, which has all that was logged; by partition, in the order of the log."""
    for partition in range(application.log.partitions):
        for record in application.lake.records(partition, 0, application.log.end(partition)):
            control = decode_control(record.payload) if record.kind is RecordKind.CONTROL else None
            if isinstance(control, kind):
                yield control
