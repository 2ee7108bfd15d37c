"""/v1/devices/{device}/dumps/{sequence}: log dumps in, and out again for operators."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict
from starlette.responses import StreamingResponse

from tocsin.api.bodies import CountedBody
from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.names import Name
from tocsin.api.openapi import answers
from tocsin.api.parameters import time_or_none
from tocsin.api.problems import problem_response
from tocsin.blobs.abstract import Blob
from tocsin.control import DumpOutcome
from tocsin.errors import InvalidInputError, UnsupportedMediaError
from tocsin.services.dump_claims import DumpId, Kept
from tocsin.services.dumps import SEQUENCE_MAX, Announced

router = APIRouter(tags=["dumps"])

Sequence = Annotated[int, Path(ge=1, le=SEQUENCE_MAX, description="The device's dumps count from 1.")]
Epoch = Annotated[
    int,
    Query(
        ge=0,
        le=SEQUENCE_MAX,
        description="How often the device has begun its numbers anew. A higher one than before begins at 1.",
    ),
]
_PIECE_BYTES: Final = 1 << 20
_DIGEST: Final = re.compile(r"(?:^|,)\s*sha-256=:([A-Za-z0-9+/=]+):")
_SHA256_BYTES: Final = 32
_STATUS: Final = {DumpOutcome.CONFLICT: 409, DumpOutcome.QUARANTINED: 422}
_NAME_MAX: Final = 256
_BODY: dict[str, Any] = {
    "required": True,
    "description": "The archive.",
    "content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}},
}
_CONTENT_DIGEST: Final[dict[str, Any]] = {
    "name": "Content-Digest",
    "in": "header",
    "required": True,
    "description": "RFC 9530: `sha-256=:…base64…:`.",
    "schema": {"type": "string"},
}
"""Described by hand: the framework would say no more than `Field required` to a request without it."""
_EXAMPLE: Final[dict[str, Any]] = {
    "device": "press-3",
    "epoch": 0,
    "sequence": 1207,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "size_bytes": 104857,
    "members": 12,
    "unpacked_bytes": 2097152,
}


class DumpView(BaseModel):
    """A dump that is kept: durable, whole, proved to be readable, and in the log."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    device: str
    epoch: int
    sequence: int
    sha256: str
    size_bytes: int
    members: int
    unpacked_bytes: int


@router.put(
    "/v1/devices/{device}/dumps/{sequence}",
    summary="Send a log dump",
    status_code=201,
    response_model=DumpView,
    responses=answers(408, 409, 413, 415, 422, 507) | {200: {"model": DumpView, "description": "Repeated."}},
    openapi_extra={"requestBody": _BODY, "parameters": [_CONTENT_DIGEST]},
)
async def send_dump(
    request: Request,
    response: Response,
    services: ServicesOf,
    principal: PrincipalOf,
    device: Name,
    sequence: Sequence,
    epoch: Epoch = 0,
    application: Annotated[str, Query(max_length=_NAME_MAX, description="Product line.")] = "",
    version: Annotated[str, Query(max_length=_NAME_MAX, description="Software version.")] = "",
    collected_from: Annotated[str | None, Query(max_length=64, description="First log line's time.")] = None,
    collected_to: Annotated[str | None, Query(max_length=64, description="Last log line's time.")] = None,
) -> DumpView | Response:
    """Answers when the archive is on the disk, its hash and every member are proved, and it is in the log.

    The same body again is a 200 with `Tocsin-Repeated: true`. Another body with the same sequence is a 409
    and a bad archive a 422: both are kept for an operator to look at, and repeats get the same answer.
    """
    announced = Announced(
        device=device,
        sequence=sequence,
        sha256=_sha256(request.headers.get("content-digest", "")),
        application=application,
        version=version,
        collected_from_ms=time_or_none(collected_from, "collected_from"),
        collected_to_ms=time_or_none(collected_to, "collected_to"),
        epoch=epoch,
    )
    _check_type(request)
    body = CountedBody(request)
    receipt = await services.dumps.receive(principal, announced, body.pieces())
    body.charge(services.entrance, principal)
    kept = receipt.kept
    headers = {"Tocsin-Repeated": "true"} if receipt.repeated else {}
    if kept.outcome in _STATUS:
        return problem_response(_STATUS[kept.outcome], kept.code, kept.detail, headers=headers)
    response.status_code = 200 if receipt.repeated else 201
    response.headers.update(headers)
    return DumpView(device=device, epoch=epoch, sequence=sequence, **_facts(kept))


class DumpState(DumpView):
    """A dump that was acknowledged. A quarantined one says why; its members were not counted."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [_EXAMPLE | {"outcome": "accepted", "code": "", "detail": ""}]}
    )

    outcome: str
    code: str
    detail: str


@router.get(
    "/v1/devices/{device}/dumps/{sequence}",
    summary="Read what became of a log dump",
    responses=answers(404),
)
def read_dump(
    services: ServicesOf, principal: PrincipalOf, device: Name, sequence: Sequence, epoch: Epoch = 0
) -> DumpState:
    """What was decided about the valid body of this sequence."""
    dump = DumpId(device=device, sequence=sequence, epoch=epoch)
    kept = services.kept_dumps.one(principal, dump)
    return DumpState(
        device=device,
        epoch=epoch,
        sequence=sequence,
        outcome=kept.outcome.value,
        code=kept.code,
        detail=kept.detail,
        **_facts(kept),
    )


@router.get(
    "/v1/devices/{device}/dumps/{sequence}/archive",
    summary="Download a log dump",
    response_class=Response,
    responses=answers(404)
    | {
        200: {
            "description": "The bytes as they came.",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
def download_dump(
    services: ServicesOf,
    principal: PrincipalOf,
    device: Name,
    sequence: Sequence,
    epoch: Epoch = 0,
    sha256: Annotated[
        str, Query(max_length=64, description="Hash of a body that lost against another; else the valid one.")
    ] = "",
) -> Response:
    """The archive, a quarantined one too: it may be hostile, so open it with care. It is in the audit log."""
    dump = DumpId(device=device, sequence=sequence, epoch=epoch)
    blob, digest = services.kept_dumps.open(principal, dump, sha256)
    encoded = base64.b64encode(bytes.fromhex(digest)).decode()
    headers = {
        "Content-Disposition": f'attachment; filename="dump-{sequence}.zip"',
        "Content-Length": str(blob.size),
        "Content-Digest": f"sha-256=:{encoded}:",
    }
    return StreamingResponse(_pieces_of(blob), media_type="application/octet-stream", headers=headers)


def _facts(kept: Kept) -> dict[str, Any]:
    """What is known of the archive itself."""
    return {
        "sha256": kept.sha256,
        "size_bytes": kept.size_bytes,
        "members": kept.members,
        "unpacked_bytes": kept.unpacked_bytes,
    }


def _pieces_of(blob: Blob) -> Iterator[bytes]:
    with blob:
        for offset in range(0, blob.size, _PIECE_BYTES):
            yield blob.read(offset, _PIECE_BYTES)


def _check_type(request: Request) -> None:
    given = request.headers.get("content-type", "application/zip").partition(";")[0].strip().lower()
    if given not in {"application/zip", "application/octet-stream"}:
        raise UnsupportedMediaError("A dump is a ZIP archive: send `Content-Type: application/zip`.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaError("An archive is packed already: send it without Content-Encoding.")


def _sha256(content_digest: str) -> str:
    """The hash as hex digits; InvalidInputError when the header has none.

    >>> _sha256("md5=:AA==:, sha-256=:" + "A" * 43 + "=:") == "0" * 64
    True
    """
    found = _DIGEST.search(content_digest)
    try:
        digest = base64.b64decode(found[1], validate=True) if found else b""
    except binascii.Error:
        digest = b""
    if len(digest) != _SHA256_BYTES:
        raise InvalidInputError(
            "Send the SHA-256 of the body as `Content-Digest: sha-256=:` + base64 + `:`.",
            field="Content-Digest",
        )
    return digest.hex()
