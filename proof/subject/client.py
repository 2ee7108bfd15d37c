"""A client that sends each body until it has an answer, and notes every answer it gets."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from http.client import HTTPConnection, HTTPException
from typing import Any, Final, Generic, Protocol, TypeVar
from urllib.parse import urlsplit

from proof.subject.patience import REFUSED, Patience
from proof.subject.promise import Notary, Promise
from proof.subject.traffic import Body

Thing_contra = TypeVar("Thing_contra", contravariant=True)

_FINAL: Final = frozenset({200, 400})


class GivenUpError(Exception):
    """The server did not answer for too long, or with something that no retry can mend."""


class Client:
    """One connection; bodies go one after another. `key` is asked for at each try.

    Once `ended` is set nothing more is tried.
    """

    def __init__(self, url: str, key: Callable[[], str], notary: Notary | None) -> None:
        self._address = urlsplit(url).netloc
        self._key = key
        self._notary = notary
        self._connection: HTTPConnection | None = None
        self.ended = threading.Event()
        self.statuses: dict[int, int] = {}

    def deliver(self, body: Body) -> str:
        """The answer to a body, tried until there is one; it is noted as a promise."""
        headers = {
            "Content-Type": "application/x-ndjson",
            "Tocsin-Producer": body.producer,
            "Tocsin-Sequence": body.sequence,
        }
        patience = Patience()
        while patience.lasts() and not self.ended.is_set():
            status, said, answer = self.exchange("POST", "/v1/events", body.payload, headers)
            self.statuses[status] = self.statuses.get(status, 0) + 1
            if status in _FINAL:
                self._note(
                    Promise(
                        kind="body",
                        producer=body.producer,
                        sequence=body.sequence,
                        status=status,
                        answer=answer,
                    )
                )
                return answer
            if 0 < status < 500 and status not in {408, 429}:
                raise GivenUpError(f"{body.producer}/{body.sequence}: {status} {answer[:500]}")
            patience.wait(status, said, answer)
        raise GivenUpError(f"{body.producer}/{body.sequence}: no answer, {patience}")

    def administer(self, name: str) -> None:
        """Make a credential, then revoke it; both are noted once they are answered."""
        wanted = {"kind": "api_key", "name": name, "roles": ["viewer"]}
        body = json.dumps(wanted).encode()
        status, answer = self.ask("POST", "/v1/credentials", body, {"Content-Type": "application/json"})
        if status != 201:
            raise GivenUpError(f"a credential was not made: {status} {answer[:500]}")
        key_id = json.loads(answer)["credential"]["key_id"]
        self._note(Promise(kind="credential", name=key_id))
        status, answer = self.ask("DELETE", f"/v1/credentials/{key_id}", b"", {})
        if status != 204:
            raise GivenUpError(f"a credential was not revoked: {status} {answer[:500]}")
        self._note(Promise(kind="revoked", name=key_id))

    def ask(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        """Status and text of one answer; status 0 when there was none, REFUSED when nobody listened."""
        status, _, text = self.exchange(method, path, body, headers)
        return status, text

    def exchange(
        self, method: str, path: str, body: bytes, headers: dict[str, str]
    ) -> tuple[int, dict[str, str], str]:
        """As `ask`, with the headers of the answer, their names in lower case."""
        try:
            if self._connection is None:
                self._connection = HTTPConnection(self._address, timeout=30)
            self._connection.request(
                method, path, body, {**headers, "Authorization": f"Bearer {self._key()}"}
            )
            answer = self._connection.getresponse()
            said = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, said, answer.read().decode()
        except ConnectionRefusedError as error:
            self.close()
            return REFUSED, {}, repr(error)
        except (OSError, HTTPException) as error:
            self.close()
            return 0, {}, repr(error)

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _note(self, promise: Promise) -> None:
        if self._notary is not None:
            self._notary.note(promise)


class Deliverer(Protocol[Thing_contra]):
    """Delivers things one after another, each until it has an answer."""

    ended: threading.Event

    def deliver(self, thing: Thing_contra, /) -> object:
        """The answer."""
        ...

    def close(self) -> None:
        """Hang up."""
        ...


class Sending(Generic[Thing_contra]):
    """Sends several producers' bodies side by side; `join` raises what went wrong in any of them."""

    def __init__(
        self, clients: Iterable[tuple[Deliverer[Thing_contra], Iterable[Thing_contra]]], pause_s: float = 0.0
    ) -> None:
        clients = list(clients)
        self._ended = [client.ended for client, _ in clients]
        self._errors: list[Exception] = []
        self._threads = [
            threading.Thread(target=self._send, args=(client, bodies, pause_s), daemon=True)
            for client, bodies in clients
        ]
        for thread in self._threads:
            thread.start()

    def alive(self) -> bool:
        """Whether anything is still to be sent."""
        return any(thread.is_alive() for thread in self._threads)

    def end(self) -> None:
        """Send no more: a later server on the same port must not get what was meant for one that is gone."""
        for ended in self._ended:
            ended.set()
        for thread in self._threads:
            thread.join()

    def join(self) -> None:
        """Wait until everything is answered."""
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]

    def _send(self, client: Deliverer[Thing_contra], bodies: Iterable[Thing_contra], pause_s: float) -> None:
        try:
            for body in bodies:
                client.deliver(body)
                time.sleep(pause_s)
        except Exception as error:  # noqa: BLE001 - raised by join
            self._errors.append(error)
        finally:
            client.close()


def json_of(client: Client, path: str) -> Any:
    """The JSON answer to a GET; GivenUpError for any other status than 200."""
    status, text = client.ask("GET", path, b"", {})
    if status != 200:
        raise GivenUpError(f"{path}: {status} {text[:500]}")
    return json.loads(text)
