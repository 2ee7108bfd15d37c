"""/v1/dumps: log dumps over as many requests as it takes, by tus 1.0.0."""

from __future__ import annotations

import re
from typing import Annotated, Any, Final
from urllib.parse import quote

from fastapi import APIRouter, Depends, Header, Path, Request, Response

from tocsin.api.bodies import CountedBody
from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.dumps import Epoch
from tocsin.api.names import Name
from tocsin.api.openapi import answers
from tocsin.api.parameters import time_or_none
from tocsin.api.problems import problem_response
from tocsin.api.tus import (
    CAPABILITIES,
    PIECE_TYPE,
    UPLOADS_PATH,
    VERSION,
    PieceChecksum,
    check_piece,
    check_version,
    http_date,
    metadata_of,
    number_of,
)
from tocsin.control import DumpOutcome
from tocsin.errors import InvalidInputError
from tocsin.services.dumps import SEQUENCE_MAX, Announced
from tocsin.services.uploads import UploadState

router = APIRouter(tags=["dumps"])

_SHA256: Final = re.compile(r"[0-9a-f]{64}")
_UPLOAD_PATH: Final = UPLOADS_PATH + "/{device}/{sequence}/{sha256}"
_PIECE: dict[str, Any] = {"content": {PIECE_TYPE: {"schema": {"type": "string", "format": "binary"}}}}
_OFFSET: Final = {"schema": {"type": "integer"}, "description": "Bytes that are durable."}
_HEADERS: Final[dict[str, Any]] = {
    "Upload-Offset": _OFFSET,
    "Upload-Expires": {"schema": {"type": "string"}, "description": "When an unfinished upload goes."},
    "Tocsin-Outcome": {
        "schema": {"type": "string"},
        "description": "Once it is complete: accepted, duplicate, conflict or quarantined.",
    },
}
_TUS: Final = Depends(check_version)
_VERSION: Final[dict[str, Any]] = {
    "parameters": [
        {
            "name": "Tus-Resumable",
            "in": "header",
            "required": True,
            "description": "The version of tus that is spoken; 412 for any other, and for none.",
            "schema": {"type": "string", "const": VERSION},
        }
    ]
}
"""Described by hand: the framework would answer 400 to a request without it, where tus wants 412."""


async def _upload(
    device: Name,
    sequence: Annotated[int, Path(ge=1, le=SEQUENCE_MAX, description="The device's dumps count from 1.")],
    sha256: Annotated[str, Path(pattern=_SHA256.pattern, max_length=64, description="Hash of the archive.")],
    epoch: Epoch = 0,
) -> Announced:
    return Announced(device=device, sequence=sequence, sha256=sha256, epoch=epoch)


UploadOf = Annotated[Announced, Depends(_upload)]


@router.options(
    UPLOADS_PATH,
    summary="Read what of tus is spoken",
    status_code=204,
    response_class=Response,
    responses=answers(),
)
async def read_capabilities(services: ServicesOf, principal: PrincipalOf) -> Response:
    """Versions, extensions, algorithms of checksums and the largest dump, as headers."""
    bytes_max = services.uploads.bytes_max(principal)
    return Response(status_code=204, headers=CAPABILITIES | {"Tus-Max-Size": str(bytes_max)})


@router.post(
    UPLOADS_PATH,
    summary="Announce a log dump that comes in pieces",
    status_code=201,
    response_class=Response,
    dependencies=[_TUS],
    responses=answers(408, 409, 412, 413, 415, 422, 507)
    | {201: {"description": "Announced; go on at Upload-Offset.", "headers": _HEADERS}},
    openapi_extra=_VERSION
    | {"requestBody": _PIECE | {"description": "The first bytes, if any are sent at once."}},
)
async def announce_dump(
    request: Request,
    services: ServicesOf,
    principal: PrincipalOf,
    upload_length: Annotated[str, Header(description="Bytes of the whole archive.")],
    upload_metadata: Annotated[
        str,
        Header(
            max_length=8192,
            description="device, sequence, sha256 (hex), epoch if it is not 0, and if known application, "
            "version, collected_from, collected_to: each with a space and its value in base64, with commas "
            "between.",
        ),
    ],
) -> Response:
    """The upload's address follows from what it is to become, so announcing it again gives the same one.

    Bytes may come along, as a piece that begins at 0. `Upload-Offset` says how much is there.
    """
    announced = _announced(metadata_of(upload_metadata))
    length = number_of(request, "Upload-Length")
    body = CountedBody(request)
    pieces = None
    if request.headers.get("content-length", "0") != "0" or "transfer-encoding" in request.headers:
        check_piece(request)
        pieces = body.pieces()
    state = await services.uploads.announce(principal, announced, length, pieces)
    body.charge(services.entrance, principal)
    name = quote(announced.device, safe="")
    address = f"{UPLOADS_PATH}/{name}/{announced.sequence}/{announced.sha256}"
    place = {"Location": f"{address}?epoch={announced.epoch}" if announced.epoch else address}
    return _answer(201, state, place)


@router.head(
    _UPLOAD_PATH,
    summary="Read how far an upload has come",
    response_class=Response,
    dependencies=[_TUS],
    responses=answers(404, 412) | {200: {"description": "Known.", "headers": _HEADERS}},
    openapi_extra=_VERSION,
)
async def read_upload(services: ServicesOf, principal: PrincipalOf, upload: UploadOf) -> Response:
    """What has come and is durable: another request that still sends to this upload is ended."""
    state = await services.uploads.state(principal, upload)
    headers = {"Upload-Length": str(state.length), "Cache-Control": "no-store"}
    return Response(status_code=200, headers=_facts(state) | headers)


@router.patch(
    _UPLOAD_PATH,
    summary="Send a piece of a log dump",
    status_code=204,
    response_class=Response,
    dependencies=[_TUS],
    responses=answers(404, 408, 409, 412, 413, 415, 422, 460, 507)
    | {204: {"description": "Durable.", "headers": _HEADERS}},
    openapi_extra=_VERSION
    | {"requestBody": _PIECE | {"required": True, "description": "The bytes from there on."}},
)
async def send_piece(
    request: Request,
    services: ServicesOf,
    principal: PrincipalOf,
    upload: UploadOf,
    upload_offset: Annotated[str, Header(description="Where the piece begins.")],
    upload_checksum: Annotated[str | None, Header(max_length=128, description="sha1 or sha256.")] = None,
) -> Response:
    """When a piece breaks off, what came of it stays; with a checksum, only once that was compared.

    The last piece is answered when the archive is proved and in the log. A bad archive and one that has
    another's number are 422: they are kept, and the upload is complete.
    """
    check_piece(request)
    offset = number_of(request, "Upload-Offset")
    checksum = None if upload_checksum is None else PieceChecksum(upload_checksum)
    body = CountedBody(request)
    state = await services.uploads.append(principal, upload, offset, body.pieces(), checksum)
    body.charge(services.entrance, principal)
    return _answer(204, state, {})


@router.delete(
    _UPLOAD_PATH,
    summary="End an upload that is not finished",
    status_code=204,
    response_class=Response,
    dependencies=[_TUS],
    responses=answers(404, 409, 412),
    openapi_extra=_VERSION,
)
async def end_upload(services: ServicesOf, principal: PrincipalOf, upload: UploadOf) -> Response:
    """What came is forgotten. A complete dump is kept: 409."""
    await services.uploads.terminate(principal, upload)
    return Response(status_code=204)


def _answer(status: int, state: UploadState, headers: dict[str, str]) -> Response:
    headers = headers | _facts(state)
    kept = state.kept
    if kept is not None and kept.outcome is not DumpOutcome.ACCEPTED:
        return problem_response(422, kept.code, kept.detail, headers=headers)
    return Response(status_code=status, headers=headers)


def _facts(state: UploadState) -> dict[str, str]:
    """What the headers say of an upload."""
    headers = {"Upload-Offset": str(state.offset)}
    if state.until_ms is not None:
        headers["Upload-Expires"] = http_date(state.until_ms)
    if state.kept is not None:
        good = state.kept.outcome is DumpOutcome.ACCEPTED
        headers["Tocsin-Outcome"] = "duplicate" if good and state.repeated else state.kept.outcome.value
    return headers


def _announced(metadata: dict[str, str]) -> Announced:
    sequence, sha256 = metadata.get("sequence", ""), metadata.get("sha256", "")
    epoch = metadata.get("epoch", "0")
    if not metadata.get("device"):
        raise _missing("device", "the device's name")
    if not _is_number(sequence):
        raise _missing("sequence", "the dump's number, from 1")
    if not _is_number(epoch):
        raise _missing("epoch", "how often the device has begun its numbers anew, from 0")
    if not _SHA256.fullmatch(sha256):
        raise _missing("sha256", "the archive's hash, as 64 hex digits in lower case")
    return Announced(
        device=metadata["device"],
        sequence=int(sequence),
        sha256=sha256,
        application=metadata.get("application", ""),
        version=metadata.get("version", ""),
        collected_from_ms=time_or_none(metadata.get("collected_from") or None, "collected_from"),
        collected_to_ms=time_or_none(metadata.get("collected_to") or None, "collected_to"),
        epoch=int(epoch),
    )


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 16


def _missing(key: str, meaning: str) -> InvalidInputError:
    return InvalidInputError(
        f"Send `{key}` in Upload-Metadata: {meaning}, in base64.", field="Upload-Metadata"
    )
