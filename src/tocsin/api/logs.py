"""POST /v1/logs: lines of logs in."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Request
from starlette.responses import Response

from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.direct_route import DirectRoute
from tocsin.api.events import ReceiptView, deliver, receipt_response
from tocsin.api.openapi import answers
from tocsin.api.otlp import OTLP_TYPES, OtlpView, otlp_response
from tocsin.api.otlp_errors import with_status
from tocsin.ingest.parsing.log_body import OTLP_JSON, OTLP_PROTOBUF, media_type

router = APIRouter(tags=["logs"], route_class=DirectRoute)

_LINES: Final = (
    '{"device":"press-3","component":"door","time":"2026-11-22T10:00:00.250Z","level":"INFO",'
    '"text":"CLOSING -> CLOSED after 1934 ms"}\n'
    '{"device":"press-3","component":"drive","time":"2026-11-22T10:00:01.100Z",'
    '"text":"2026-11-22T10:00:01.100Z WARN torque 41.2 Nm near its limit"}\n'
)
_OTLP: Final = {
    "resourceLogs": [
        {
            "resource": {
                "attributes": [
                    {"key": "device.id", "value": {"stringValue": "press-3"}},
                    {"key": "service.name", "value": {"stringValue": "door"}},
                ]
            },
            "scopeLogs": [
                {
                    "logRecords": [
                        {
                            "timeUnixNano": "1795341600250000000",
                            "severityText": "INFO",
                            "body": {"stringValue": "CLOSING -> CLOSED after 1934 ms"},
                        }
                    ]
                }
            ],
        }
    ]
}
_BODY: dict[str, Any] = {
    "required": True,
    "description": "Lines of logs; gzip or zstd by Content-Encoding.",
    "content": {
        "application/x-ndjson": {"schema": {"type": "string"}, "example": _LINES},
        OTLP_JSON: {"schema": {"type": "object"}, "example": _OTLP},
        OTLP_PROTOBUF: {"schema": {"type": "string", "format": "binary"}},
    },
}
_PROTOBUF: Final[dict[int | str, dict[str, Any]]] = {
    200: {"content": {OTLP_PROTOBUF: {"schema": {"type": "string", "format": "binary"}}}}
}


@router.post(
    "/v1/logs",
    summary="Send lines of logs",
    response_model=ReceiptView | OtlpView,
    responses=with_status(answers(408, 409, 413, 415, 507)) | _PROTOBUF,
    openapi_extra={"requestBody": _BODY},
)
async def send_logs(
    request: Request,
    services: ServicesOf,
    principal: PrincipalOf,
    content_encoding: Annotated[str, Header(description="gzip, zstd or identity.")] = "",
    tocsin_producer: Annotated[str, Header(description="Who sends, with Tocsin-Sequence.")] = "",
    tocsin_sequence: Annotated[str, Header(description="Which of its bodies this is.")] = "",
    idempotency_key: Annotated[str, Header(description="Instead of producer and sequence.")] = "",
) -> Response:
    """Answers when every accepted line is on the disk; a repeat is answered as with events.

    Exporters of OpenTelemetry (OTLP over HTTP) are answered as they expect, with a Status where something
    is wrong; a record is a line.

    A text that begins with a time of its own is a line as it was written; before any other, its time and
    level are put. Lines of a device are cut into dumps, which dump detectors are shown.
    """
    receipt = await deliver(
        request,
        services,
        principal,
        content_encoding=content_encoding,
        producer=tocsin_producer,
        sequence=tocsin_sequence,
        idempotency_key=idempotency_key,
        logs=True,
    )
    sent_as = media_type(request.headers.get("content-type", ""))
    if receipt.status == HTTPStatus.OK and sent_as in OTLP_TYPES:
        return otlp_response(receipt, sent_as)
    return receipt_response(receipt)
