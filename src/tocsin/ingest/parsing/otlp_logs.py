"""Log records of OpenTelemetry (OTLP over HTTP, protobuf or JSON) as log lines."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec
import numpy as np
from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from tocsin.errors import InvalidInputError, TooLargeError
from tocsin.ingest.parsing.careful import too_many_lines
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.line_code import LineCode
from tocsin.ingest.parsing.line_error import LineError, LineFault, LineForm
from tocsin.ingest.parsing.log_batch import batch_of_lines
from tocsin.ingest.parsing.log_line import SentLine, log_line_of
from tocsin.ingest.parsing.parsed_body import ParsedBody

DEVICE_ATTRIBUTES: Final = ("device.id", "host.name", "service.instance.id")
COMPONENT_ATTRIBUTES: Final = ("device.component", "service.name")
"""Of the record, else of its resource; the first that is there. Behind them the name of the scope."""
_APPLICATION: Final = "service.namespace"
_VERSION: Final = "service.version"
_LEVELS: Final = (
    "",
    *(level for level in ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL") for _ in "1234"),
)
_NS: Final = 1_000_000
_REMEDIES: Final = {
    "device": f"Set one of the resource attributes {', '.join(DEVICE_ATTRIBUTES)}.",
    "component": f"Set one of the resource attributes {', '.join(COMPONENT_ATTRIBUTES)}.",
    "time": "Set time_unix_nano or observed_time_unix_nano.",
}
Plain = dict[str, Any]


class _Scope(msgspec.Struct, rename="camel"):
    log_records: list[Plain] | None = None


class _Resource(msgspec.Struct, rename="camel"):
    scope_logs: list[_Scope] | None = None


class _Shape(msgspec.Struct, rename="camel"):
    """What is looked into before the message is made."""

    resource_logs: list[_Resource] | None = None


_SHAPE: Final = msgspec.json.Decoder(_Shape)


def parse_otlp_protobuf(body: bytes, limits: ParseLimits) -> ParsedBody:
    """The records of an ExportLogsServiceRequest as lines; a line's number is that of its record, from 1."""
    try:
        request = ExportLogsServiceRequest.FromString(body)
    except DecodeError as error:
        raise InvalidInputError(
            f"The body is no ExportLogsServiceRequest of OTLP ({error}); send it again, whole."
        ) from error
    return _parsed(request, limits)


def parse_otlp_json(body: bytes, limits: ParseLimits) -> ParsedBody:
    """The same request as JSON has it: names in lowerCamelCase, trace and span ids in hexadecimal."""
    try:
        shape = _SHAPE.decode(body)
        if shape.resource_logs is None:
            raise InvalidInputError(
                "JSON is read as OTLP, which has `resourceLogs`; send other lines as application/x-ndjson."
            )
        found: Plain = msgspec.json.decode(body)
        for record in _json_records(found):
            record |= {name: _base64(record[name]) for name in ("traceId", "spanId") if record.get(name)}
        request = ParseDict(found, ExportLogsServiceRequest(), ignore_unknown_fields=True)
    except (msgspec.MsgspecError, ParseError, TypeError, ValueError, RecursionError) as error:
        raise InvalidInputError(f"The body is no ExportLogsServiceRequest of OTLP ({error}).") from error
    return _parsed(request, limits)


def _json_records(request: Plain) -> Iterator[Plain]:
    """The records of a request of this shape."""
    for resource in request["resourceLogs"]:
        for scope in resource.get("scopeLogs") or ():
            yield from scope.get("logRecords") or ()


def _base64(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def _parsed(request: ExportLogsServiceRequest, limits: ParseLimits) -> ParsedBody:
    lines: list[SentLine] = []
    numbers: list[int] = []
    errors: list[LineError] = []
    total_bytes = 0
    for number, (fields, size_bytes) in enumerate(_records(request), start=1):
        total_bytes += size_bytes
        if number > limits.lines:
            raise too_many_lines(limits)
        if total_bytes > limits.body_bytes:
            raise TooLargeError(
                f"With its resource in each of them, the records have more than {limits.body_bytes} bytes; "
                "send them in parts."
            )
        try:
            _check_size(size_bytes, limits)
            lines.append(log_line_of(fields, limits))
            numbers.append(number)
        except LineFault as fault:
            errors.append(_refused(fault, number, fields))
    return ParsedBody(batch_of_lines(lines), np.array(numbers, np.int32), errors, len(lines) + len(errors))


def _check_size(size_bytes: int, limits: ParseLimits) -> None:
    if size_bytes > limits.line_bytes:
        message = f"The record has {size_bytes} bytes with its resource, {limits.line_bytes} are allowed"
        raise LineFault(LineCode.LINE_TOO_LONG, message)


def _refused(fault: LineFault, number: int, fields: Plain) -> LineError:
    """The error of a record, whose bytes are those of the line that it would be."""
    fault.remedy = _REMEDIES.get(fault.field, fault.remedy)
    body = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
    return replace(fault.at(number, body), form=LineForm.LOG_LINE)


def _records(request: ExportLogsServiceRequest) -> Iterator[tuple[Plain, int]]:
    """Each record with the fields of a log line; what has no field of its own keeps its name in OTLP.

    With its size as it was sent, together with resource and scope: they are sent once and kept with each
    record, so that a small body can be a very large one.
    """
    for resource_logs in request.resource_logs:
        resource = _attributes(resource_logs.resource.attributes)
        for scope_logs in resource_logs.scope_logs:
            shared_bytes = resource_logs.resource.ByteSize() + scope_logs.scope.ByteSize()
            for record in scope_logs.log_records:
                fields = _fields(record, resource, scope_logs.scope.name)
                yield fields, shared_bytes + record.ByteSize()


def _fields(record: LogRecord, resource: Plain, scope: str) -> Plain:
    attributes = _attributes(record.attributes)
    time_ns = record.time_unix_nano or record.observed_time_unix_nano
    named = {
        "device": _first(DEVICE_ATTRIBUTES, attributes, resource),
        "component": _first(COMPONENT_ATTRIBUTES, attributes, resource) or scope,
        "time": time_ns // _NS if time_ns else None,
        "text": _text(record.body),
        "level": record.severity_text or _level(record.severity_number),
        "application": _first((_APPLICATION,), attributes, resource),
        "version": _first((_VERSION,), attributes, resource),
    }
    others = {
        "attributes": attributes,
        "resource": resource,
        "scope": scope,
        "time_unix_nano": str(time_ns),
        "trace_id": record.trace_id.hex(),
        "span_id": record.span_id.hex(),
        "event_name": record.event_name,
    }
    return {name: value for name, value in named.items() if value is not None} | {
        name: value for name, value in others.items() if value
    }


def _first(names: Iterable[str], *attributes: Mapping[str, Any]) -> str:
    """The first of these attributes that is there, as text."""
    found = (each[name] for each in attributes for name in names if _says_something(each.get(name)))
    value = next(found, "")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _says_something(value: Any) -> bool:
    return value is not None and value != ""  # a list may stand there too, and no set takes one


def _level(number: int) -> str:
    return _LEVELS[number] if 0 <= number < len(_LEVELS) else ""


def _text(body: AnyValue) -> str:
    value = _value(body)
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _attributes(pairs: Iterable[KeyValue]) -> Plain:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    """As JSON has it; integers as they are, bytes in base64."""
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case "bytes_value":
            return base64.b64encode(value.bytes_value).decode()
        case kind:
            return getattr(value, kind)
