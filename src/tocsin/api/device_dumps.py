"""/v1/devices/{device}/dumps: what became of each of a device's dumps."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from tocsin.api.cursor import decode_text, encode_cursor, refused
from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.names import Name
from tocsin.api.openapi import answers
from tocsin.api.parameters import Cursor, Limit
from tocsin.processing.dump_places import MissingDumps, PlacedDump
from tocsin.services.device_dumps import DumpKey

router = APIRouter(tags=["dumps"])

_EXAMPLE: Final[dict[str, Any]] = {
    "epoch": 0,
    "sequence": 1207,
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "size_bytes": 104857,
    "state": "waiting",
    "code": "",
    "detail": "",
}


class PlacedView(BaseModel):
    """A dump that came. `state` is waiting, ready, processed, after_gap, conflict or quarantined.

    What waits, waits for a dump before it; what is ready, for dump detectors. One that came after its gap
    was given up is taken in by a correction. `code` and `detail` are those of a bad archive.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    epoch: int
    sequence: int
    sha256: str
    size_bytes: int
    state: str
    code: str
    detail: str


class MissingView(BaseModel):
    """Numbers from `first` to `last` that did not come: still waited for, or given up."""

    epoch: int
    first: int
    last: int
    given_up: bool


class PlacedPage(BaseModel):
    """A page by epoch and number, all that is missing, and the cursor of the next page, null at the end.

    `notes` is what dump detectors say of where they stand with the device, such as how far they have learnt.
    """

    dumps: list[PlacedView]
    missing: list[MissingView]
    notes: dict[str, str]
    next: str | None


@router.get("/v1/devices/{device}/dumps", summary="List a device's log dumps", responses=answers(404))
def list_dumps(
    services: ServicesOf, principal: PrincipalOf, device: Name, cursor: Cursor = None, limit: Limit = 50
) -> PlacedPage:
    """Every body that came, with what became of it, in the order in which a device's dumps are processed."""
    kind, tenant = f"dumps of {device}", principal.tenant
    after = None if cursor is None else _key(decode_text(kind, cursor, tenant=tenant))
    page, found, following = services.device_dumps.page(principal, device, after, limit)
    following_text = None if following is None else msgspec.json.encode(following).decode()
    return PlacedPage(
        dumps=[_placed_view(item) for item in page],
        missing=[_missing_view(item) for item in found.missing],
        notes=dict(found.notes),
        next=None if following_text is None else encode_cursor(kind, following_text, tenant=tenant),
    )


def _key(text: str) -> DumpKey:
    """Where a page begins; anybody can make a cursor, so there may be anything in it."""
    try:
        key: DumpKey = msgspec.json.decode(text, type=DumpKey)
    except msgspec.DecodeError as error:
        raise refused() from error
    return key


def _placed_view(item: PlacedDump) -> PlacedView:
    dump = item.dump
    return PlacedView(
        epoch=dump.epoch,
        sequence=dump.sequence,
        sha256=dump.sha256,
        size_bytes=dump.size_bytes,
        state=item.state,
        code=dump.code,
        detail=dump.detail,
    )


def _missing_view(item: MissingDumps) -> MissingView:
    return MissingView(epoch=item.epoch, first=item.first, last=item.last, given_up=item.given_up)
