"""/v1/stream: changes of anomalies as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Header, Query
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.api.anomalies import ChangeView, anomaly_view, change_views
from tocsin.api.dependencies import Asker, AskerOf, PrincipalOf, ServicesOf
from tocsin.api.openapi import answers
from tocsin.errors import (
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    PasswordChangeRequiredError,
    UnauthenticatedError,
)
from tocsin.inbox.abstract import Anomaly, Change
from tocsin.services.bundle import Services
from tocsin.services.sessions import require_settled
from tocsin.services.sight import MappingUnknownError
from tocsin.services.stream import ChangeStream

router = APIRouter(tags=["stream"])

HEARTBEAT_S: Final = 15.0
LIFETIME_S: Final = 300.0  # then the client comes again by itself, and its credential is checked anew
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
_RETRY: Final = b"retry: 2000\n\n"
_HEARTBEAT: Final = b": still here\n\n"
_SEQUENCE_DIGITS_MAX: Final = 18
_ENDING: Final = (
    ForbiddenError,
    MappingUnknownError,
    NotFoundError,
    PasswordChangeRequiredError,
    UnauthenticatedError,
)
_EXAMPLE: Final = 'id: 41\nevent: anomaly\ndata: {"change":{"sequence":41},"anomaly":{"id":"0193a7c2f4"}}\n\n'


@router.get(
    "/v1/stream",
    summary="Follow changes of anomalies",
    response_class=StreamingResponse,
    responses=answers(404)
    | {
        200: {
            "description": "Server-sent events named `anomaly`; the id is the sequence of the change.",
            "content": {"text/event-stream": {"schema": {"type": "string"}, "example": _EXAMPLE}},
        }
    },
)
async def follow_stream(
    services: ServicesOf,
    principal: PrincipalOf,
    asker: AskerOf,
    technician: Annotated[
        str | None, Query(max_length=64, description="Only changes at this technician's devices (a GUID).")
    ] = None,
    last_event_id: Annotated[
        str | None, Header(description="Resume after this sequence; without it, only what is new comes.")
    ] = None,
) -> StreamingResponse:
    """Every change of the tenant's anomalies, in order, with the anomaly as it is now; technicians hear of
    those at their own devices alone.

    With `technician` only those at devices that are the technician's when the change is told; 404 where the
    directory knows no such technician, and if it says so later, the stream ends. A comment comes every 15 s
    when nothing happens. The stream ends after some minutes, and with what who listens was let in by; like
    after any other cut, a browser resumes by itself.
    """
    require(principal, Permission.READ)
    await asyncio.to_thread(_require_known, services, principal, technician)
    after = None if last_event_id is None else _sequence(last_event_id)
    services.stream.enter(principal.tenant)
    return _Listening(services.stream, principal.tenant, _events(services, asker, technician, after))


def _require_known(services: Services, principal: Principal, technician: str | None) -> None:
    """Refused before a stream begins, where it would end at once."""
    if technician is not None:
        services.mapping.all_devices_of(principal, technician)
    services.sight.devices(principal)


class _Listening(StreamingResponse):
    """Gives its place back however it ends, also when the client has gone before the first byte."""

    def __init__(self, stream: ChangeStream, tenant: str, events: AsyncIterator[bytes]) -> None:
        super().__init__(events, media_type="text/event-stream", headers=_HEADERS)
        self._stream = stream
        self._tenant = tenant

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._stream.leave(self._tenant)


def _sequence(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= _SEQUENCE_DIGITS_MAX):
        raise InvalidInputError("Last-Event-ID is the id of an event of this stream.", field="Last-Event-ID")
    return int(text)


async def _events(
    services: Services, asker: Asker, technician: str | None, after: int | None
) -> AsyncIterator[bytes]:
    deadline_s = asyncio.get_running_loop().time() + LIFETIME_S
    tenant = asker.principal.tenant
    yield _RETRY
    start = after
    if start is None:
        start = await asyncio.to_thread(services.stream.newest, tenant)
    try:
        async for page in services.stream.follow(partial(_read, services, asker), start, idle_s=HEARTBEAT_S):
            yield await asyncio.to_thread(_page, services, asker, technician, page) or _HEARTBEAT
            if asyncio.get_running_loop().time() > deadline_s:
                return
    except _ENDING:
        return  # no such technician by now, or one who may not listen any more: who comes again hears why


def _read(services: Services, asker: Asker, after: int, limit: int) -> list[Change]:
    """What who listens may hear of by now: the stream was opened minutes ago. Refused as it would be now."""
    return list(services.anomalies.changes(_now(services, asker), after, limit))


def _page(services: Services, asker: Asker, technician: str | None, page: list[Change]) -> bytes:
    """The events of a page, for whom the listener stands by now.

    Of what is not the technician's its number is left for who sees it all, so that resuming passes it.
    """
    principal = _now(services, asker)
    require(principal, Permission.READ)
    views = change_views(services, principal, page)
    told = [(view, services.anomalies.one(principal, view.anomaly_id)) for view in views]
    if technician is None:
        return b"".join(_event(change, anomaly) for change, anomaly in told)
    mapped = services.mapping.all_devices_of(principal, technician)
    theirs = {each.device for each in mapped.devices}
    return b"".join(
        _event(change, anomaly) if anomaly.device in theirs else b"id: %d\n\n" % change.sequence
        for change, anomaly in told
    )


def _now(services: Services, asker: Asker) -> Principal:
    if asker.signed_in is None:
        principal = services.entrance.now(asker.principal)
    else:
        principal = services.sessions.now(asker.signed_in)
    require_settled(principal)
    return principal


def _event(change: ChangeView, anomaly: Anomaly) -> bytes:
    data = {
        "change": change.model_dump(mode="json"),
        "anomaly": anomaly_view(anomaly).model_dump(mode="json"),
    }
    return b"id: %d\nevent: anomaly\ndata: %s\n\n" % (change.sequence, msgspec.json.encode(data))
