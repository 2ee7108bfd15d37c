"""One recorded run: a server from its first start to its end, with everything a data folder lives through."""

from __future__ import annotations

import random
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

from proof.shim.event import Event, read_trace
from proof.subject.client import Client, GivenUpError, Sending
from proof.subject.crates import Crate, crates
from proof.subject.person import Act, Person, acts
from proof.subject.promise import Notary, Promise
from proof.subject.server import RecordedServer
from proof.subject.shipper import Shipper
from proof.subject.traffic import Body, bodies

DATA: Final = "var/data"
"""Where the data folder lies below the recorded one; its parents are Tocsin's to make durable too."""

_ENDING_S: Final = 10.0
_LATE: Final = 10
PRODUCERS: Final = ("north", "south")


@dataclass(frozen=True, slots=True)
class Recording:
    """What happened, and what the server answered when it was asked for digests at the end."""

    events: Sequence[Event]
    digest: dict[str, Any]
    key: str

    def kinds(self) -> Counter[str]:
        """How often what happened."""
        return Counter(event.kind.name for event in self.events)


def record(
    scratch: Path,
    seed: int,
    *,
    steps: int = 60,
    kills: int = 0,
    plant: str = "",
    settings: Mapping[str, str] | None = None,
) -> Recording:
    """Run a server below `scratch`, send it everything, wait until all is settled, stop it.

    With `kills` it is killed so often at random calls on the way and started again, so that unsynced
    leftovers of a dead process are part of the record. EndedError if it ends by itself.
    """
    rng = random.Random(seed)
    server = RecordedServer(scratch, plant=plant, settings=settings)
    notary = Notary(server.trace)
    sending, shipping, acting = Sending[Body](()), Sending[Crate](()), Sending[Act](())
    try:
        server.start()
        notary.note(Promise(kind="key", name=server.key))
        clients = [Client(server.url, lambda: server.key, notary) for _ in PRODUCERS]
        work = [
            (client, bodies(producer, seed, steps=steps))
            for client, producer in zip(clients, PRODUCERS, strict=True)
        ]
        sending = Sending(work, pause_s=0.03)
        shipping = Sending(
            [(Shipper(server.url, lambda: server.key, notary), crates(each, seed)) for each in PRODUCERS],
            pause_s=0.05,
        )
        people = [(Person(server.url, lambda: server.key, notary), acts(each, seed)) for each in PRODUCERS]
        acting = Sending([(person, own[:-_LATE]) for person, own in people], pause_s=0.1)
        for _ in range(kills):
            server.control.kill_at(rng.randrange(1, 400), torn=rng.random() < 0.3)
            server.exit_code(300)
            server.control.kill_at(0)
            server.start()
        admin = Client(server.url, lambda: server.key, notary)
        for number in range(2):
            admin.administer(f"seed-{seed}-{number}")
        admin.close()
        while sending.alive() or shipping.alive() or acting.alive():
            server.check_alive()
            time.sleep(0.05)
        sending.join()
        shipping.join()
        acting.join()
        digest = server.digest()
        for person, own in people:  # there are anomalies for certain now
            for act in own[-_LATE:]:
                person.deliver(act)
            person.close()
        server.stop()
    except (GivenUpError, OSError, HTTPException, RuntimeError):
        server.check_alive(_ENDING_S)  # whatever was asked of it then: that it ended is what there is to know
        print(server.stacks(), file=sys.stderr, flush=True)  # and if it did not, what it does instead
        raise
    finally:
        server.kill()
        sending.end()
        shipping.end()
        acting.end()
        notary.close()
    return Recording(read_trace(server.trace), digest, server.key)
