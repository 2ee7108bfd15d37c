"""/v1/technicians: what a technician is responsible for."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

import msgspec
from fastapi import APIRouter, Path, Query, Response
from pydantic import AfterValidator, BaseModel, ConfigDict

from tocsin.api.anomalies import ANOMALY_EXAMPLE, AnomalyView, Changes, Since, anomaly_fields, change_views
from tocsin.api.cursor import decode_number, decode_text, encode_cursor
from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.list_route import ListRoute
from tocsin.api.names import iso_or_none
from tocsin.api.openapi import answers
from tocsin.api.ownership import OwnershipPage, ownership_page
from tocsin.api.parameters import Cursor, Limit
from tocsin.directory.abstract import Freshness
from tocsin.services.addresses import restored

router = APIRouter(prefix="/v1/technicians", tags=["technicians"])
lists = APIRouter(prefix="/v1/technicians", tags=["technicians"], route_class=ListRoute)

_ANOMALIES: Final = "technician anomalies"
_DEVICES: Final = "technician devices"
TechnicianId = Annotated[
    str,
    Path(
        min_length=1,
        description="The GUID that the directory knows the technician by.",
        examples=["6f9619ff-8b86-4011-b42d-00c04fc964ff"],
    ),
    AfterValidator(restored),
]


class Wanted(StrEnum):
    """Which anomalies a list has: those that are to be dealt with, or all."""

    UNRESOLVED = "unresolved"
    ALL = "all"


class TechnicianAnomalyPage(BaseModel):
    """A page, newest change first; `next` is the cursor of the next one, null at the end.

    `as_of` and `mapping` say how old the mapping of devices is by which they are the technician's. `complete`
    is false where it gives more than 10,000 devices, of which the first by name were looked at.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "anomalies": [ANOMALY_EXAMPLE],
                    "as_of": "2026-11-22T14:05:00.000Z",
                    "mapping": "fresh",
                    "complete": True,
                    "next": None,
                }
            ]
        }
    )

    anomalies: list[AnomalyView]
    as_of: str | None
    mapping: Freshness
    complete: bool
    next: str | None


@lists.get(
    "/{technician_id}/anomalies",
    summary="List a technician's anomalies",
    responses=answers(404),
    response_model=TechnicianAnomalyPage,
)
def list_technician_anomalies(
    services: ServicesOf,
    principal: PrincipalOf,
    technician_id: TechnicianId,
    state: Annotated[Wanted, Query(description="Snoozed ones are unresolved.")] = Wanted.UNRESOLVED,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Anomalies of the devices that are the technician's as the mapping says now, newest change first.

    Never refused because the directory is down. A device that moves takes its anomalies along.
    """
    before = None if cursor is None else decode_number(_ANOMALIES, cursor, tenant=principal.tenant)
    found = services.technicians.anomalies(
        principal, technician_id, unresolved=state is Wanted.UNRESOLVED, before=before, limit=limit
    )
    following = None
    if found.before is not None:
        following = encode_cursor(_ANOMALIES, found.before, tenant=principal.tenant)
    shown = {
        "anomalies": [anomaly_fields(anomaly) for anomaly in found.anomalies],
        "as_of": iso_or_none(found.as_of_ms),
        "mapping": found.freshness,
        "complete": found.complete,
        "next": following,
    }
    # as it is: models would check and copy each anomaly, which takes longer than to find it
    return Response(msgspec.json.encode(shown), media_type="application/json")


@router.get(
    "/{technician_id}/changes",
    summary="Read what happened to a technician's anomalies since",
    responses=answers(404),
)
def list_technician_changes(
    services: ServicesOf,
    principal: PrincipalOf,
    technician_id: TechnicianId,
    after: Since = 0,
    limit: Limit = 100,
) -> Changes:
    """What data did and what people did, in order, at the devices that are the technician's now.

    Ask again with `after` = `last` until it stays: what happens elsewhere does not move it. A device that
    moves makes no change: read the list again now and then.
    """
    found, last = services.technicians.changes(principal, technician_id, after=after, limit=limit)
    return Changes(changes=change_views(services, principal, found), last=last)


@router.get("/{technician_id}/devices", summary="List a technician's devices", responses=answers(404))
def list_technician_devices(
    services: ServicesOf,
    principal: PrincipalOf,
    technician_id: TechnicianId,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> OwnershipPage:
    """Devices by name, as the directory last said; never refused because it is down.

    404 where it has said that there is no such technician. One whom it could not be asked about yet has state
    `unknown`; asking makes sure that it will be.
    """
    after = "" if cursor is None else decode_text(_DEVICES, cursor, tenant=principal.tenant)
    found = services.mapping.devices_of(principal, technician_id, after=after, limit=limit)
    following = None
    if found.more:
        following = encode_cursor(_DEVICES, found.devices[-1].device, tenant=principal.tenant)
    return ownership_page(found, following)
