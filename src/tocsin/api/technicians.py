"""/v1/technicians: what a technician is responsible for."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import AfterValidator

from tocsin.api.cursor import decode_text, encode_cursor
from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.openapi import answers
from tocsin.api.ownership import OwnershipPage, ownership_page
from tocsin.api.parameters import Cursor, Limit
from tocsin.services.addresses import restored

router = APIRouter(prefix="/v1/technicians", tags=["technicians"])

TechnicianId = Annotated[
    str,
    Path(
        min_length=1,
        description="The GUID that the directory knows the technician by.",
        examples=["6f9619ff-8b86-4011-b42d-00c04fc964ff"],
    ),
    AfterValidator(restored),
]


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
    after = "" if cursor is None else decode_text("technician devices", cursor, tenant=principal.tenant)
    found = services.mapping.devices_of(principal, technician_id, after=after, limit=limit)
    following = None
    if found.more:
        following = encode_cursor("technician devices", found.devices[-1].device, tenant=principal.tenant)
    return ownership_page(found, following)
