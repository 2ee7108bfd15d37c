"""POST /v1/events: readings in."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Request
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from tocsin.access.principal import Principal
from tocsin.api.bodies import whole_body
from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.direct_route import DirectRoute
from tocsin.api.openapi import LineError, answers
from tocsin.api.problems import PROBLEM_JSON
from tocsin.errors import InvalidInputError
from tocsin.services.bundle import Services
from tocsin.services.ingest import Delivery
from tocsin.services.receipt import Receipt

router = APIRouter(tags=["events"], route_class=DirectRoute)

_IDEMPOTENCY_KEY: Final = "idempotency-key"
_LINES: Final = (
    '{"device":"pump-7","ts":"2026-11-22T10:00:00Z","temperature":20.1,"humidity":51.0}\n'
    '{"device":"pump-7","ts":"2026-11-22T10:01:00Z","temperature":20.3,"humidity":50.8}\n'
)
_EXAMPLE: dict[str, Any] = {
    "received": 2,
    "accepted": 2,
    "rejected": 0,
    "repeated": 0,
    "errors": [],
    "errors_left_out": 0,
    "dead_letters_left_out": 0,
    "warnings": [],
    "warnings_left_out": 0,
}
_BODY: dict[str, Any] = {
    "required": True,
    "description": "Events; gzip or zstd by Content-Encoding.",
    "content": {
        "application/x-ndjson": {"schema": {"type": "string"}, "example": _LINES},
        "application/json": {
            "schema": {"type": "array", "items": {"type": "object"}},
            "example": [{"device": "pump-7", "ts": "2026-11-22T10:00:00Z", "temperature": 20.1}],
        },
        "text/csv": {
            "schema": {"type": "string"},
            "example": "device,ts,temperature\npump-7,2026-11-22T10:00:00Z,20.1\n",
        },
    },
}


class ReceiptView(BaseModel):
    """What became of a body's lines: received = accepted + rejected. Accepted lines are durable.

    At most 100 errors and warnings are told, the rest is counted. Refused lines are dead letters, the
    first `ingest.dead_letters_per_body_max` of a body.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    received: int
    accepted: int
    rejected: int
    repeated: int
    errors: list[LineError]
    errors_left_out: int
    dead_letters_left_out: int
    warnings: list[LineError]
    warnings_left_out: int


@router.post(
    "/v1/events",
    summary="Send events",
    response_model=ReceiptView,
    responses=answers(408, 409, 413, 415, 507),
    openapi_extra={"requestBody": _BODY},
)
async def send_events(
    request: Request,
    services: ServicesOf,
    principal: PrincipalOf,
    content_encoding: Annotated[str, Header(description="gzip, zstd or identity.")] = "",
    tocsin_producer: Annotated[str, Header(description="Who sends, with Tocsin-Sequence.")] = "",
    tocsin_sequence: Annotated[str, Header(description="Which of its bodies this is.")] = "",
    idempotency_key: Annotated[str, Header(description="Instead of producer and sequence.")] = "",
) -> Response:
    """Answers when every accepted line is on the disk.

    The same producer and sequence (or idempotency key) again changes nothing and gets the first answer,
    with the header `Tocsin-Repeated: true`, for 24 hours; with another body it is a 409.
    """
    receipt = await deliver(
        request,
        services,
        principal,
        content_encoding=content_encoding,
        producer=tocsin_producer,
        sequence=tocsin_sequence,
        idempotency_key=idempotency_key,
    )
    return receipt_response(receipt)


async def deliver(
    request: Request,
    services: Services,
    principal: Principal,
    *,
    content_encoding: str,
    producer: str,
    sequence: str,
    idempotency_key: str,
    logs: bool = False,
) -> Receipt:
    """Take in the request's body within its sender's share, as events or as log lines."""
    if idempotency_key and (producer or sequence):
        raise InvalidInputError("Send Idempotency-Key or Tocsin-Producer, not both.", field="Idempotency-Key")
    body = await whole_body(request)
    if "content-length" not in request.headers:
        services.entrance.charge(principal, len(body))
    delivery = Delivery(
        body=body,
        content_type=request.headers.get("content-type", ""),
        content_encoding=content_encoding,
        producer=_IDEMPOTENCY_KEY if idempotency_key else producer,
        sequence=idempotency_key or sequence,
        logs=logs,
    )
    receipt = await services.ingest.deliver(principal, delivery)
    if not receipt.repeated and (rejected := receipt.rejected):
        services.entrance.charge_refused(principal, rejected)
    return receipt


def receipt_response(receipt: Receipt) -> Response:
    """The receipt's own bytes, so that a retry gets exactly the first answer."""
    headers = {"Tocsin-Repeated": "true"} if receipt.repeated else None
    media_type = "application/json" if receipt.status == 200 else PROBLEM_JSON
    return Response(receipt.body, receipt.status, headers=headers, media_type=media_type)
