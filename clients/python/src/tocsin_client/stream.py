"""Server-sent events: lines of text as events."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from tocsin_client.models import Anomaly, Change


class Happened(msgspec.Struct, frozen=True):
    """A change, and the anomaly as it is now."""

    change: Change
    anomaly: Anomaly


class Sent(msgspec.Struct, frozen=True):
    """An event as it came; `id` is where to go on after a cut, also where there is nothing to be told."""

    id: str
    name: str
    data: str


def events_of(lines: Iterable[str]) -> Iterator[Sent]:
    """Events of a stream, without comments; one that was cut off is left out.

    >>> list(events_of(["id: 4", "event: anomaly", "data: {}", "", ": still here", "", "id: 5"]))
    [Sent(id='4', name='anomaly', data='{}')]
    """
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            value = value.removeprefix(" ")
            fields[name] = f"{fields[name]}\n{value}" if name == "data" and name in fields else value
        else:
            if fields.keys() & {"id", "data"}:
                yield Sent(fields.get("id", ""), fields.get("event", "message"), fields.get("data", ""))
            fields = {}
