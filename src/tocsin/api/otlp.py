"""What an exporter of OpenTelemetry is answered: the receipt as it reads it."""

from __future__ import annotations

from typing import Final

import msgspec
from google.protobuf.json_format import MessageToJson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from pydantic import BaseModel, ConfigDict
from starlette.responses import Response

from tocsin.ingest.parsing.log_body import OTLP_JSON, OTLP_PROTOBUF
from tocsin.services.receipt import Receipt

OTLP_TYPES: Final = frozenset({OTLP_JSON, OTLP_PROTOBUF})


class PartialSuccess(BaseModel):
    """What was refused; the numbers are texts, as in all JSON of protobuf."""

    rejectedLogRecords: str = "0"  # noqa: N815 - the name that exporters read
    errorMessage: str = ""  # noqa: N815


class OtlpView(BaseModel):
    """ExportLogsServiceResponse; empty when all records were taken."""

    model_config = ConfigDict(extra="forbid")

    partialSuccess: PartialSuccess | None = None  # noqa: N815


class _Error(msgspec.Struct):
    line: int
    detail: str


class _Told(msgspec.Struct):
    errors: list[_Error] = []


def first_refused(receipt: bytes) -> str:
    """What is wrong with the first records that a receipt tells of, in words; "" if it tells of none."""
    told = msgspec.json.decode(receipt, type=_Told)
    return "; ".join(f"record {error.line}: {error.detail}" for error in told.errors[:3])


def otlp_response(receipt: Receipt, media_type: str) -> Response:
    """An ExportLogsServiceResponse in the request's own encoding; what was refused is a partial success.

    Exporters drop refused records, which are dead letters, and send nothing again.
    """
    answer = ExportLogsServiceResponse()
    if rejected := receipt.rejected:
        answer.partial_success.rejected_log_records = rejected
        answer.partial_success.error_message = first_refused(receipt.body)
    body = answer.SerializeToString() if media_type == OTLP_PROTOBUF else MessageToJson(answer).encode()
    headers = {"Tocsin-Repeated": "true"} if receipt.repeated else None
    return Response(body, headers=headers, media_type=media_type)
