"""/v1/dead-letters: lines that were refused; for operators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from tocsin.api.cursor import decode_number, encode_cursor
from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.events import ReceiptView, receipt_response
from tocsin.api.names import iso, iso_or_none
from tocsin.api.openapi import answers
from tocsin.api.parameters import Cursor, Limit
from tocsin.services.dead_letters import ID_MAX, ListedLetter

router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"])

LetterId = Annotated[int, Path(ge=1, le=ID_MAX)]


class DeadLetterView(BaseModel):
    """A refused line: why, and where it stood. `replayed_at` says when it was accepted at last."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "id": 3,
                    "arrived_at": "2026-11-22T10:00:00.000Z",
                    "source": "http",
                    "line": 7,
                    "code": "number_not_finite",
                    "field": "temperature",
                    "detail": "The number is NaN. Leave the field out, or send null.",
                    "bytes": 61,
                    "replayed_at": None,
                }
            ]
        }
    )

    id: int
    arrived_at: str
    source: str
    line: int
    code: str
    field: str
    detail: str
    bytes: int
    replayed_at: str | None


class DeadLetterPage(BaseModel):
    """A page, oldest first; `next` is the cursor of the next one, null at the end."""

    dead_letters: list[DeadLetterView]
    next: str | None


def letter_view(listed: ListedLetter) -> DeadLetterView:
    """What an operator sees of a refused line."""
    letter = listed.letter
    return DeadLetterView(
        id=listed.id,
        arrived_at=iso(letter.arrival_ms),
        source=letter.source,
        line=letter.line,
        code=letter.code,
        field=letter.field,
        detail=letter.detail,
        bytes=len(letter.body),
        replayed_at=iso_or_none(listed.replayed_ms),
    )


@router.get("", summary="List refused lines", responses=answers())
def list_dead_letters(
    services: ServicesOf, principal: PrincipalOf, cursor: Cursor = None, limit: Limit = 100
) -> DeadLetterPage:
    """Refused lines of the tenant, oldest first."""
    after_id = 0 if cursor is None else decode_number("dead-letters", cursor, tenant=principal.tenant)
    found, following = services.dead_letters.page(principal, after_id=after_id, limit=limit)
    return DeadLetterPage(
        dead_letters=[letter_view(listed) for listed in found],
        next=None if following is None else encode_cursor("dead-letters", following, tenant=principal.tenant),
    )


@router.get("/{letter_id}", summary="Read a refused line's reason", responses=answers(404))
def read_dead_letter(services: ServicesOf, principal: PrincipalOf, letter_id: LetterId) -> DeadLetterView:
    """Why it was refused, and whether it was sent again."""
    return letter_view(services.dead_letters.one(principal, letter_id))


@router.get(
    "/{letter_id}/body",
    summary="Download a refused line",
    response_class=Response,
    responses=answers(404)
    | {
        200: {
            "description": "The bytes as they came.",
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
def download_dead_letter(services: ServicesOf, principal: PrincipalOf, letter_id: LetterId) -> Response:
    """The line's bytes, or its beginning where it was too long."""
    listed = services.dead_letters.one(principal, letter_id)
    headers = {"Content-Disposition": f'attachment; filename="dead-letter-{listed.id}"'}
    return Response(listed.letter.body, media_type="application/octet-stream", headers=headers)


@router.post(
    "/{letter_id}/replay",
    summary="Send a refused line again",
    response_model=ReceiptView,
    responses=answers(404, 409, 507),
)
def replay_dead_letter(services: ServicesOf, principal: PrincipalOf, letter_id: LetterId) -> Response:
    """The receipt of the line; a 400 with the reason if it is refused again."""
    return receipt_response(services.dead_letters.replay(principal, letter_id))
