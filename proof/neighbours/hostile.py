"""The neighbours themselves: `python -m proof.neighbours.hostile NAME`, a process of its own.

Reads what it needs as one JSON line (url, tokens, devices), prints `ready`, then obeys lines: `on` lets it
loose, `off` calls it back. It answers `off` with what it was told, once every request has its answer.
"""

from __future__ import annotations

import asyncio
import json
import random
import re
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

_ACCEPTED: Final = re.compile(rb'"accepted":(\d+)')
_REFUSED_PAUSE_S: Final = 0.01
_REOPEN_S: Final = 1.0
_YEAR_MS: Final = 365 * 86_400_000
_NAMES_IN_LINE: Final = 10
_LINES: Final = 1_000
_TRICKLES: Final = 300  # more than there are places for requests
_WAIT_MAX_S: Final = 30.0


@dataclass(slots=True)
class Told:
    """Answers by status (0 = cut off), events acknowledged, and events of bodies that had no answer."""

    statuses: dict[int, int] = field(default_factory=dict)
    events_sent: int = 0
    accepted: int = 0
    unanswered: int = 0

    def add(self, status: int, events: int, accepted: int) -> None:
        """One request."""
        self.statuses[status] = self.statuses.get(status, 0) + 1
        self.events_sent += events
        self.accepted += accepted
        self.unanswered += 0 if status else events


class Line:
    """One connection, opened when it is needed; the events of its bodies are counted in `told`."""

    def __init__(self, url: str, token: str, told: Told) -> None:
        address = urlsplit(url)
        self.host, self.port = address.hostname or "127.0.0.1", address.port or 80
        self._told = told
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.head = (
            f"POST /v1/events HTTP/1.1\r\nHost: {address.netloc}\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/x-ndjson\r\nContent-Length: "
        ).encode()

    async def post(self, body: bytes, events: int) -> int:
        """The status of the answer, 0 if the connection broke before it came."""
        status, accepted, begun = 0, 0, False
        try:
            if self._streams is None:
                self._streams = await asyncio.open_connection(self.host, self.port)
            reader, writer = self._streams
            begun = True
            writer.write(b"%s%d\r\n\r\n%s" % (self.head, len(body), body))
            await writer.drain()
            async with asyncio.timeout(_WAIT_MAX_S):
                status, accepted = await _answer(reader)
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            self.close()
        self._told.add(status, events if begun else 0, accepted)
        return status

    def close(self) -> None:
        """Hang up."""
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None


async def _answer(reader: asyncio.StreamReader) -> tuple[int, int]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head.lower())
    answer = await reader.readexactly(int(length[1]) if length else 0)
    status = int(head[9:12])
    accepted = _ACCEPTED.search(answer) if status == 200 else None
    return status, int(accepted[1]) if accepted else 0


@dataclass(slots=True)
class Scene:
    """What a neighbour has: the server, its credentials, how many devices it is, and whether it is loose."""

    url: str
    tokens: list[str]
    devices: int
    told: Told = field(default_factory=Told)
    loose: asyncio.Event = field(default_factory=asyncio.Event)
    made: int = 0

    def lines(self, each: int = 1) -> list[Line]:
        """Connections, `each` of every credential."""
        return [Line(self.url, token, self.told) for token in self.tokens for _ in range(each)]


async def _without_end(scene: Scene, lines: list[Line], make: Callable[[], tuple[bytes, int]]) -> None:
    """Send as fast as the server answers, on every line; after a refusal a moment later."""

    async def send(line: Line) -> None:
        while scene.loose.is_set():
            if await line.post(*make()) != 200:
                await asyncio.sleep(_REFUSED_PAUSE_S)
        line.close()

    await asyncio.gather(*(send(line) for line in lines))


async def names(scene: Scene) -> None:
    """One device sends parameters that nobody has heard of, a million and more."""

    def make() -> tuple[bytes, int]:
        first, now_ms = scene.made, time.time_ns() // 1_000_000
        scene.made += _LINES * _NAMES_IN_LINE
        lines = []
        for number in range(first, first + _LINES * _NAMES_IN_LINE, _NAMES_IN_LINE):
            fields = ",".join(f'"unheard-{number + k}":{k}.5' for k in range(_NAMES_IN_LINE))
            lines.append(f'{{"device":"inventor","ts":{now_ms + number // _NAMES_IN_LINE},{fields}}}')
        return "\n".join(lines).encode(), _LINES

    await _without_end(scene, scene.lines(2), make)


async def flood(scene: Scene) -> None:
    """One tenant sends large bodies of a thousand devices with every credential it has, without a pause."""

    def make() -> tuple[bytes, int]:
        scene.made += 1
        ts = 1_790_000_000_000 + scene.made * 1000
        body = "".join(template % (ts + number % 5) for number, template in enumerate(templates))
        return body.encode(), len(templates)

    rng = random.Random(1)
    templates = [
        f'{{"device":"flood-{number % 1000}","ts":%d,"a":{rng.gauss(20, 1):.2f},"b":{number % 7}.5}}\n'
        for number in range(5_000)
    ]
    await _without_end(scene, scene.lines(2), make)


async def clock(scene: Scene) -> None:
    """One device whose clock is a year ahead sends bodies of a hundred events without a pause."""

    def make() -> tuple[bytes, int]:
        scene.made += 100
        ts = time.time_ns() // 1_000_000 + _YEAR_MS + scene.made * 1000
        lines = (f'{{"device":"dreamer","ts":{ts + 1000 * n},"t":{n % 7}.5}}' for n in range(100))
        return "\n".join(lines).encode(), 100

    await _without_end(scene, scene.lines(2), make)


async def trickle(scene: Scene) -> None:
    """One client holds many connections and sends a byte of a body on each now and then."""

    async def hold(line: Line) -> None:
        while scene.loose.is_set():
            await _dribble(scene, line)
            await asyncio.sleep(_REOPEN_S)

    lines = scene.lines(_TRICKLES // len(scene.tokens))
    await asyncio.gather(*(hold(line) for line in lines))


async def _dribble(scene: Scene, line: Line) -> None:
    """One body that never ends: byte by byte, until the server has enough of it."""
    status, writer = 0, None
    try:
        reader, writer = await asyncio.open_connection(line.host, line.port)
        writer.write(line.head + b"100000\r\n\r\n")
        answer = asyncio.ensure_future(reader.read(12))
        while scene.loose.is_set() and not answer.done():
            writer.write(b" ")
            await asyncio.sleep(0.2)
        status = int(answer.result()[9:12] or 0) if answer.done() else 0
        answer.cancel()
    except (OSError, ValueError):
        pass  # how the server ends it is its business; the next one follows
    finally:
        if writer is not None:
            writer.close()
        scene.told.statuses[status] = scene.told.statuses.get(status, 0) + 1


async def restart(scene: Scene) -> None:
    """Every device comes back at the same moment with what it has kept, and insists; over and over."""
    while scene.loose.is_set():
        scene.made += 1
        await asyncio.gather(*(_come_back(scene, number) for number in range(scene.devices)))


async def _come_back(scene: Scene, number: int) -> None:
    line = Line(scene.url, scene.tokens[number], scene.told)
    start_ms = 1_790_000_000_000 + scene.made * 3_600_000
    events = (
        f'{{"device":"{name_of(number)}","ts":{start_ms + 60_000 * n},"t":{20 + n % 3}.5}}' for n in range(10)
    )
    body = "\n".join(events).encode()
    wait_s = 1.0
    while scene.loose.is_set() and await line.post(body, 10) != 200:
        await asyncio.sleep(random.uniform(0, wait_s))
        wait_s = min(2 * wait_s, 8.0)
    line.close()


def name_of(number: int) -> str:
    """The device of that number among those that restart."""
    return f"sleeper-{number:05}"


async def nobody(scene: Scene) -> None:
    """Does nothing: its ratio says how far the machine's own noise goes."""


NEIGHBOURS: Final[dict[str, Callable[[Scene], Awaitable[None]]]] = {
    "nobody": nobody,
    "names": names,
    "flood": flood,
    "trickle": trickle,
    "clock": clock,
    "restart": restart,
}


async def _obey(name: str, given: dict[str, Any]) -> None:
    scene = Scene(given["url"], given["tokens"], given["devices"])
    acting: asyncio.Future[None] | None = None
    while command := (await asyncio.to_thread(sys.stdin.readline)).strip():
        if command == "on":
            scene.loose.set()
            acting = asyncio.ensure_future(NEIGHBOURS[name](scene))
        elif acting is not None:
            scene.loose.clear()
            await acting
            print(json.dumps(asdict(scene.told) | {"made": scene.made}), flush=True)


def main() -> int:
    """Run from the command line."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    given = json.loads(sys.stdin.readline())
    print("ready", flush=True)
    asyncio.run(_obey(sys.argv[1], given))
    return 0


if __name__ == "__main__":
    sys.exit(main())
