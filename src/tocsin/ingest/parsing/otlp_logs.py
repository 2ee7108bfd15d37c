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

from tocsin.errors import InvalidInputError
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
    for number, fields in enumerate(_records(request), start=1):
        if number > limits.lines:
            raise too_many_lines(limits)
        try:
            lines.append(_line(fields, limits))
            numbers.append(number)
        except LineFault as fault:
            body = json.dumps(fields, ensure_ascii=False, separators=(",", ":")).encode()
            fault.remedy = _REMEDIES.get(fault.field, fault.remedy)
            errors.append(replace(fault.at(number, body), form=LineForm.LOG_LINE))
    return ParsedBody(batch_of_lines(lines), np.array(numbers, np.int32), errors, len(lines) + len(errors))


def _line(fields: Plain, limits: ParseLimits) -> SentLine:
    line = log_line_of(fields, limits)
    size_bytes = len(line.line.text.encode())
    if size_bytes > limits.line_bytes:
        message = f"The body of the record has {size_bytes} bytes, {limits.line_bytes} are allowed"
        raise LineFault(LineCode.LINE_TOO_LONG, message, "text")
    return line


def _records(request: ExportLogsServiceRequest) -> Iterator[Plain]:
    """Each record with the fields of a log line; what has no field of its own keeps its name in OTLP."""
    for resource_logs in request.resource_logs:
        resource = _attributes(resource_logs.resource.attributes)
        for scope_logs in resource_logs.scope_logs:
            for record in scope_logs.log_records:
                yield _fields(record, resource, scope_logs.scope.name)


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
    found = (each[name] for each in attributes for name in names if each.get(name) not in {None, ""})
    value = next(found, "")
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


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
