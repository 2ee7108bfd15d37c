"""A client that ships each dump until it hears what became of it, and notes all that it was promised."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Final

from proof.simulation.archives import Parcel
from proof.subject.client import Client, GivenUpError
from proof.subject.crates import Crate
from proof.subject.patience import Patience
from proof.subject.promise import Notary, Promise

_TUS: Final = {"Tus-Resumable": "1.0.0"}
_PIECE: Final = _TUS | {"Content-Type": "application/offset+octet-stream"}
_WAIT: Final = frozenset({404, 408, 409, 429})

_TAKEN: Final = frozenset({"accepted", "duplicate"})

_Tried = tuple[int, dict[str, str], str, str]
"""Status, headers and text of the last answer, and what became of the dump if that is known."""


class Shipper:
    """As Client, for dumps: in one request, or in pieces by tus."""

    def __init__(self, url: str, key: Callable[[], str], notary: Notary) -> None:
        self._client = Client(url, key, None)
        self._notary = notary
        self.ended = self._client.ended

    def deliver(self, crate: Crate) -> str:
        """What became of the dump, tried until it is told; GivenUpError if it was not taken."""
        parcel, patience = crate.parcel, Patience()
        while patience.lasts() and not self.ended.is_set():
            status, said, text, outcome = (
                self._in_pieces(parcel) if parcel.plan.pieces else self._whole(parcel)
            )
            if outcome in _TAKEN:
                self._note("dump", parcel, 200)
                return outcome
            if 0 < status < 500 and status not in _WAIT:
                raise GivenUpError(f"{parcel.plan.device}/{parcel.plan.sequence}: {status} {text[:500]}")
            patience.wait(status, said, text)
        raise GivenUpError(f"{parcel.plan.device}/{parcel.plan.sequence}: no answer, {patience}")

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def _whole(self, parcel: Parcel) -> _Tried:
        digest = base64.b64encode(bytes.fromhex(parcel.sha256)).decode()
        path = f"/v1/devices/{parcel.plan.device}/dumps/{parcel.plan.sequence}?application=presses&version=1"
        headers = {"Content-Type": "application/zip", "Content-Digest": f"sha-256=:{digest}:"}
        status, said, text = self._client.exchange("PUT", f"{path}&{_times(parcel)}", parcel.body, headers)
        return status, said, text, "accepted" if status in {200, 201} else ""

    def _in_pieces(self, parcel: Parcel) -> _Tried:
        """Announce it, which tells how far it has come, then piece after piece while all goes well."""
        headers = {"Upload-Length": str(len(parcel.body)), "Upload-Metadata": _metadata(parcel)}
        status, said, text = self._client.exchange("POST", "/v1/dumps", b"", _TUS | headers)
        size = len(parcel.body) // (parcel.plan.pieces + 1) + 1
        path = f"/v1/dumps/{parcel.plan.device}/{parcel.plan.sequence}/{parcel.sha256}"
        while status in {201, 204} and "tocsin-outcome" not in said:
            offset = int(said["upload-offset"])
            self._note("piece", parcel, offset)
            piece = parcel.body[offset : offset + size]
            headers = _PIECE | {"Upload-Offset": str(offset)}
            status, said, text = self._client.exchange("PATCH", path, piece, headers)
        return status, said, text, said.get("tocsin-outcome", "")

    def _note(self, kind: str, parcel: Parcel, status: int) -> None:
        plan = parcel.plan
        promise = Promise(
            kind="dump" if kind == "dump" else "piece",
            name=plan.device,
            sequence=str(plan.sequence),
            answer=parcel.sha256,
            status=status,
        )
        self._notary.note(promise)


def _times(parcel: Parcel) -> str:
    return f"collected_from={parcel.from_ms}&collected_to={parcel.to_ms}"


def _metadata(parcel: Parcel) -> str:
    plan = parcel.plan
    said = {
        "device": plan.device,
        "sequence": str(plan.sequence),
        "sha256": parcel.sha256,
        "application": "presses",
        "version": "1",
        "collected_from": str(parcel.from_ms),
        "collected_to": str(parcel.to_ms),
    }
    return ",".join(f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in said.items())
