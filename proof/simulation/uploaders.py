"""Senders of dumps: in one request, or in pieces by tus; they go on until they are told what became of it."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from typing import Final

from proof.simulation.archives import Parcel
from proof.simulation.clients import BACKOFF_S, TRY_AGAIN, Senders
from proof.simulation.lives import Lives
from proof.simulation.loop import Answer, Request

ATTEMPTS_MAX: Final = 400
DONE: Final = frozenset({"accepted", "conflict", "quarantined"})
_BEHIND: Final = frozenset({404, 409, 460})
_ZIP: Final = {"content-type": "application/zip"}
_TUS: Final = {"tus-resumable": "1.0.0"}
_PIECE: Final = _TUS | {"content-type": "application/offset+octet-stream"}


@dataclass(slots=True)
class Sent:
    """What a sender knows of its dump. `outcome` as told first: accepted, conflict or quarantined.

    Of an upload in pieces: `known` once it was announced, `offset` where to go on (None: ask), `durable` the
    bytes that were promised, unless the sender has `ended` it.
    """

    parcel: Parcel
    outcome: str = ""
    attempts: int = 0
    known: bool = False
    offset: int | None = None
    durable: int = 0
    ended: bool = False

    @property
    def address(self) -> str:
        """Of the upload in pieces."""
        plan = self.parcel.plan
        return f"/v1/dumps/{plan.device}/{plan.sequence}/{self.parcel.sha256}"


@dataclass(slots=True)
class Uploaders:
    """One thread a dump."""

    lives: Lives
    senders: Senders
    sent: list[Sent] = field(default_factory=list)

    def start(self) -> None:
        """Let everybody begin."""
        for number, plan in enumerate(self.lives.plan.dumps):
            sent = Sent(Parcel(plan))
            self.sent.append(sent)
            self.senders.spawn(f"uploader-{number}", partial(self._send, sent))

    def unserved(self) -> int:
        """Dumps of which nobody was told."""
        return sum(not sent.outcome for sent in self.sent)

    def ask_all_again(self) -> None:
        """Everything once more: each gets the answer that it got."""
        for sent in self.sent:
            self._again(sent)

    def _send(self, sent: Sent) -> None:
        plan = sent.parcel.plan
        self.senders.wait_for(plan.at_s)
        while not sent.outcome and sent.attempts < ATTEMPTS_MAX:
            sent.attempts += 1
            if plan.pieces:
                self._step(sent)
            else:
                self._take(sent, self._ask(self._put(sent)))
            if not sent.outcome and (not plan.pieces or sent.offset is None):
                self.lives.scheduler.sleep(BACKOFF_S[min(sent.attempts, len(BACKOFF_S)) - 1])
        if plan.twice:
            self.lives.scheduler.sleep(self.lives.rng.uniform(0, 600))
            self._again(sent)

    def _again(self, sent: Sent) -> None:
        """As one request, whatever it was before."""
        answer = self._ask(self._put(sent))
        outcome = "" if answer is None else _outcome(answer)
        if outcome and sent.outcome and outcome != sent.outcome:
            self._found("other answer", sent, f"first {sent.outcome}, then {outcome}")

    def _ask(self, request: Request) -> Answer | None:
        chance = self.lives.plan.steps.stall if request.body and not self.lives.workshop.calm else 0.0
        if self.lives.rng.random() < chance:
            self.lives.trace.fault("network-half-open")
            request = replace(request, stalls_at=self.lives.rng.randrange(len(request.body)))
        answer = self.lives.wire.ask(request)
        return None if answer is None or answer.status in TRY_AGAIN or not answer.status else answer

    def _put(self, sent: Sent) -> Request:
        parcel, plan = sent.parcel, sent.parcel.plan
        query = f"epoch={plan.epoch}&application=pumps&version=1"
        query += f"&collected_from={_time(parcel.from_ms)}&collected_to={_time(parcel.to_ms)}"
        digest = base64.b64encode(bytes.fromhex(parcel.sha256)).decode()
        headers = self.senders.authorized(**_ZIP | {"content-digest": f"sha-256=:{digest}:"})
        path = f"/v1/devices/{plan.device}/dumps/{plan.sequence}"
        return Request("PUT", path, query, headers, parcel.body)

    def _take(self, sent: Sent, answer: Answer | None) -> None:
        """The answer to the whole in one request."""
        if answer is None:
            return
        sent.outcome = _outcome(answer)
        self.lives.trace.note("told", f"{sent.address} {sent.outcome}")
        if not sent.outcome:
            self._found(f"answer {answer.status}", sent, f"{answer.body!r}")
            sent.outcome = "refused"

    def _step(self, sent: Sent) -> None:
        """The next request of an upload in pieces."""
        if not sent.known:
            self._heard(sent, self._ask(self._announcement(sent)))
        elif sent.offset is None:
            self._heard(sent, self._ask(self._about(sent, "HEAD")))
        elif sent.parcel.plan.ends and not sent.ended and sent.offset:
            sent.ended, sent.durable, sent.known, sent.offset = True, 0, False, None
            self._ask(self._about(sent, "DELETE"))
        else:
            self._send_piece(sent, sent.offset)

    def _about(self, sent: Sent, method: str) -> Request:
        query = f"epoch={sent.parcel.plan.epoch}"
        return Request(method, sent.address, query, self.senders.authorized(**_TUS))

    def _announcement(self, sent: Sent) -> Request:
        parcel, plan = sent.parcel, sent.parcel.plan
        said = {
            "device": plan.device,
            "sequence": str(plan.sequence),
            "sha256": parcel.sha256,
            "epoch": str(plan.epoch),
            "application": "pumps",
            "version": "1",
            "collected_from": _time(parcel.from_ms),
            "collected_to": _time(parcel.to_ms),
        }
        metadata = ",".join(f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in said.items())
        headers = {"upload-length": str(len(parcel.body)), "upload-metadata": metadata}
        first = parcel.body[: self._piece_bytes(sent)] if plan.sequence % 2 else b""
        kind = _PIECE if first else _TUS
        return Request("POST", "/v1/dumps", headers=self.senders.authorized(**kind | headers), body=first)

    def _send_piece(self, sent: Sent, offset: int) -> None:
        piece = sent.parcel.body[offset : offset + self._piece_bytes(sent)]
        algorithm = "sha1" if sent.parcel.plan.sequence % 2 else "sha256"
        checksum = base64.b64encode(hashlib.new(algorithm, piece).digest()).decode()
        headers = _PIECE | {"upload-offset": str(offset), "upload-checksum": f"{algorithm} {checksum}"}
        altered = self.lives.rng.random() < self.lives.plan.steps.alter
        if altered:
            self.lives.trace.fault("piece-altered")
            piece = bytes([piece[0] ^ 1]) + piece[1:]
        elif sent.parcel.plan.sequence % 3 == 0:
            del headers["upload-checksum"]
        request = replace(self._about(sent, "PATCH"), headers=self.senders.authorized(**headers), body=piece)
        answer = self._ask(request)
        if altered and answer is not None and answer.status not in _BEHIND:
            self._found("altered piece taken", sent, f"{answer}")
        if answer is not None and answer.status == 460 and not altered:
            self._found("good piece refused", sent, f"{answer}")
        self._heard(sent, answer)

    def _piece_bytes(self, sent: Sent) -> int:
        return len(sent.parcel.body) // max(1, sent.parcel.plan.pieces) + 1

    def _heard(self, sent: Sent, answer: Answer | None) -> None:
        """Where the upload stands by this answer."""
        sent.offset = None
        if answer is None:
            return
        if answer.status in _BEHIND:
            sent.known = answer.status != 404
            if answer.status == 404 and sent.durable and not sent.ended:
                self._found("upload lost", sent, f"{answer.body!r}")
            return
        sent.outcome = _outcome(answer)
        if sent.outcome:
            self.lives.trace.note("told", f"{sent.address} {sent.outcome}")
            return
        if answer.status not in {200, 201, 204}:
            self._found(f"answer {answer.status}", sent, f"{answer.body!r}")
            sent.outcome = "refused"
            return
        sent.known, sent.offset = True, int(answer.headers["upload-offset"])
        if sent.offset < sent.durable and not sent.ended:
            self._found("bytes lost", sent, f"{sent.durable} were durable, {sent.offset} are left")
        sent.durable = sent.offset

    def _found(self, kind: str, sent: Sent, detail: str) -> None:
        self.lives.findings.add(kind, f"{sent.parcel.plan}: {detail}")


def _outcome(answer: Answer) -> str:
    """What the answer says became of the dump; empty for one that does not."""
    said = answer.headers.get("tocsin-outcome", "")
    if said:
        return "accepted" if said == "duplicate" else said
    if answer.status in {200, 201} and answer.body:
        return "accepted"
    if answer.status == 409 and json.loads(answer.body)["code"] == "dump_conflict":
        return "conflict"
    if answer.status == 422 and json.loads(answer.body)["code"].startswith("zip_"):
        return "quarantined"
    return ""


def _time(time_ms: int) -> str:
    return datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
