"""One request for each operation, good enough to reach whatever it always needs."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

import httpx

from proof.endpoints.tour import PRESS, PUMP, TECHNICIAN, archive
from tocsin.templates.dictionary import dictionary_of

_BODY: Final = archive(9, "")
_SHA256: Final = hashlib.sha256(_BODY).hexdigest()
_TUS: Final = {"Tus-Resumable": "1.0.0"}
_PIECE: Final = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
_NAMES: Final = {
    "device": PUMP,
    "parameter": "temperature",
    "sequence": "1",
    "sha256": _SHA256,
    "letter_id": "1",
    "anomaly_id": "a",
    "action": "comment",
    "action_sequence": "1",
    "episode_id": "e",
    "key_id": "k",
    "person_id": "p",
    "technician_id": TECHNICIAN,
    "location": "site-001",
    "session_id": "s",
    "window_id": "w",
    "ended_id": "w",
}
_QUERIES: Final = {"GET /api/outliers_count": "?time_range=1h"}
_LOG_LINE: Final = f'{{"device":"{PUMP}","component":"engine","time":1795341600000,"text":"starts"}}'
_OF_A_PRESS: Final = "/v1/devices/{device}/dumps"


def probe(
    client: httpx.Client, operation: str, *, known: Mapping[str, str] = MappingProxyType({})
) -> httpx.Response:
    """The answer to a request for the operation, such as `GET /v1/devices/{device}`.

    `known` are ids by their names in addresses: of a credential that may be ended, of a person, of a window,
    and as `ended_id` of one that may be ended.
    """
    method, _, path = operation.partition(" ")
    names = _NAMES | dict(known) | ({"device": PRESS} if path.startswith(_OF_A_PRESS) else {})
    names |= {"window_id": names["ended_id"]} if path.endswith("{window_id}/end") else {}
    url = path.format(**names) + _QUERIES.get(operation, "")
    with client.stream(method, url, **_given(operation)) as answer:
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            next(answer.iter_lines())  # it would go on for minutes
        else:
            answer.read()
        return answer


def _given(operation: str) -> dict[str, Any]:
    if operation == "PUT /v1/dictionary":  # another one each time, so that it has to be written down
        return {"content": dictionary_of([(f"seen {time.time_ns()}", 1)]).to_json()}
    if operation == "POST /v1/people":
        return {"json": {"name": f"p{time.time_ns()}", "display_name": "P", "roles": ["viewer"]}}
    if operation in _TEXTS:
        return {"json": {_TEXTS[operation]: f"P {time.time_ns()}"}, "headers": {"If-Match": "*"}}
    if operation == "POST /v1/maintenance":
        now_ms = time.time_ns() // 1_000_000
        return {"json": {"device": PUMP, "from": str(now_ms), "to": str(now_ms + 60_000)}}
    if operation != "POST /v1/events":
        return _GIVEN.get(operation, {})
    new_field = f"seen_{time.time_ns()}"  # so that the catalogue has to write it down
    line = f'{{"device":"{PUMP}","ts":1795341600000,"{new_field}":20}}'
    return {"content": line.encode(), "headers": {"Content-Type": "application/x-ndjson"}}


def _metadata() -> str:
    told = {"device": PRESS, "sequence": "9", "sha256": _SHA256}
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in told.items())


_TEXTS: Final = {
    "PATCH /v1/people/{person_id}": "display_name",
    "PATCH /v1/maintenance/{window_id}": "why",
}
"""What of something is changed to another text each time, so that there is something to write."""

_GIVEN: Final[dict[str, dict[str, Any]]] = {
    "POST /v1/anomalies/{anomaly_id}/feedback/preview": {"json": {"kind": "false_alarm"}},
    "POST /v1/anomalies/{anomaly_id}/feedback": {
        "json": {"kind": "false_alarm"},
        "headers": {"If-Match": "*"},
    },
    "POST /v1/anomalies/{anomaly_id}/{action}": {"json": {"note": "is looked at"}},
    "POST /v1/logs": {
        "content": _LOG_LINE.encode(),
        "headers": {"Content-Type": "application/x-ndjson"},
    },
    "POST /v1/anomalies/actions": {"json": {"action": "comment", "note": "x", "anomalies": [{"id": "a"}]}},
    "POST /v1/maintenance/{window_id}/end": {"headers": {"If-Match": "*"}},
    "POST /v1/devices/{device}/quarantine": {"json": {"reason": "is repaired"}},
    "PUT /v1/devices/{device}/dumps/{sequence}": {
        "content": _BODY,
        "headers": {
            "Content-Type": "application/zip",
            "Content-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(_BODY).digest()).decode()}:",
        },
    },
    "POST /v1/dumps": {
        "headers": _TUS | {"Upload-Length": str(len(_BODY)), "Upload-Metadata": _metadata()},
    },
    "HEAD /v1/dumps/{device}/{sequence}/{sha256}": {"headers": _TUS},
    "PATCH /v1/dumps/{device}/{sequence}/{sha256}": {"headers": _TUS | _PIECE, "content": _BODY},
    "DELETE /v1/dumps/{device}/{sequence}/{sha256}": {"headers": _TUS},
    "POST /v1/credentials": {"json": {"kind": "device", "name": "probe", "devices": ["pump-9"]}},
    "POST /v1/me/password": {"json": {"current": "x", "new": "the bell rings at noon"}},
    "POST /v1/tenants": {"json": {"name": "south"}},
    "POST /v1/query": {"json": {"sql": "SELECT 1 AS one"}},
}
