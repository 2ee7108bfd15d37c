"""One try to bring one dump to a server: whole, or from where an earlier try had come."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

import httpx

from tocsin.client.destination import RefusedError
from tocsin.client.dump_facts import DumpFacts
from tocsin.client.dump_folder import DumpFile
from tocsin.client.retrying import TRY_AGAIN, refusal_of, retry_after_s, unreached

PIECES_FROM_BYTES: Final = 8 << 20
"""Larger dumps go in pieces: that takes two requests, but what came before a cut is not sent again."""
_READ_BYTES: Final = 1 << 20
_TUS: Final = {"Tus-Resumable": "1.0.0"}
_PIECE: Final = {"Content-Type": "application/offset+octet-stream"}
_BEGIN_AGAIN: Final = frozenset({"digest_mismatch", "offset_mismatch", "not_found", "superseded"})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a try. Without an outcome it failed, and may be repeated after `wait_s`."""

    outcome: str = ""
    reason: str = ""
    wait_s: float = 0.0


@dataclass(slots=True)
class DumpRequest:
    """A dump that is to be sent. `moved` is called whenever the server takes bytes, and may raise.

    `offset` is what the server had, in bytes, when it was asked last; `altered` says that it got other bytes
    than those announced. With `cut_at`, the connection is broken on purpose once so many of the dump's bytes
    were given to it.
    """

    dump: DumpFile
    sha256: bytes
    size: int
    facts: DumpFacts
    moved: Callable[[], None]
    cut_at: int | None = None
    offset: int = 0
    was_cut: bool = False
    altered: bool = False

    def send(self, http: httpx.Client) -> Answer:
        """Try once; blocks.

        RefusedError for what would be refused again, UnavailableError where the server never can be reached.
        """
        try:
            return self._in_pieces(http) if self.size >= PIECES_FROM_BYTES else self._in_one(http)
        except httpx.LocalProtocolError:
            raise  # a mistake of ours, which no other try would mend
        except httpx.TransportError as error:
            return Answer(reason=unreached(str(http.base_url).rstrip("/"), error))

    def _in_one(self, http: httpx.Client) -> Answer:
        digest = base64.b64encode(self.sha256).decode()
        response = http.put(
            f"/v1/devices/{quote(self.dump.device, safe='')}/dumps/{self.dump.sequence}",
            params=self._epoch() | self.facts.said(),
            content=self._bytes_from(0),
            headers={
                "Content-Type": "application/zip",
                "Content-Digest": f"sha-256=:{digest}:",
                "Content-Length": str(self.size),
            },
        )
        if response.is_success:
            return Answer("accepted" if response.status_code == httpx.codes.CREATED else "duplicate")
        return self._refusal(response)

    def _in_pieces(self, http: httpx.Client) -> Answer:
        announced = http.post("/v1/dumps", headers=_TUS | self._announcement())
        if not announced.is_success:
            return self._refusal(announced)
        self.offset = int(announced.headers["Upload-Offset"])
        if self.offset == self.size:
            return Answer(announced.headers["Tocsin-Outcome"])
        rest = {"Upload-Offset": str(self.offset), "Content-Length": str(self.size - self.offset)}
        sent = http.patch(
            announced.headers["Location"], content=self._bytes_from(self.offset), headers=_TUS | _PIECE | rest
        )
        return Answer(sent.headers["Tocsin-Outcome"]) if sent.is_success else self._refusal(sent)

    def _announcement(self) -> dict[str, str]:
        said = {
            "device": self.dump.device,
            "sequence": str(self.dump.sequence),
            "sha256": self.sha256.hex(),
        }
        said |= self._epoch() | self.facts.said()
        pairs = (f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in said.items())
        return {"Upload-Length": str(self.size), "Upload-Metadata": ",".join(pairs)}

    def _epoch(self) -> dict[str, str]:
        return {"epoch": str(self.dump.epoch)} if self.dump.epoch else {}

    def _bytes_from(self, offset: int) -> Iterator[bytes]:
        with self.dump.path.open("rb", buffering=0) as file:
            file.seek(offset)
            while piece := file.read(_READ_BYTES):
                offset += len(piece)
                if self.cut_at is not None and offset >= self.cut_at:
                    if rest := piece[: max(0, len(piece) - (offset - self.cut_at))]:
                        yield rest
                    self.was_cut = True
                    raise httpx.WriteError("cut on purpose")
                yield piece
                self.moved()

    def _refusal(self, response: httpx.Response) -> Answer:
        code, detail = refusal_of(response)
        self.altered = code == "digest_mismatch"
        if code == "dump_conflict":
            return Answer("conflict", detail)
        if code.startswith("zip_"):
            return Answer("quarantined", f"{code}: {detail}")
        status = response.status_code
        if status in TRY_AGAIN or code in _BEGIN_AGAIN:
            return Answer(reason=f"the server answered {status} {code}", wait_s=retry_after_s(response))
        raise RefusedError(f"the server refuses {self.dump.path} with {status} {code}: {detail}")
