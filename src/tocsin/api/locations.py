"""/v1/locations: where devices stand."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from tocsin.api.cursor import decode_text, encode_cursor
from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.names import Name, iso
from tocsin.api.openapi import answers
from tocsin.api.ownership import OwnershipPage, ownership_page
from tocsin.api.parameters import Cursor, Limit
from tocsin.directory.abstract import Freshness

router = APIRouter(prefix="/v1/locations", tags=["locations"])


class LocationView(BaseModel):
    """A place, how many devices stand there, and how old the oldest answer about one of them is."""

    location: str
    devices: int
    as_of: str
    state: Freshness


class LocationPage(BaseModel):
    """A page by name; `next` is the cursor of the next one, null at the end."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "locations": [
                        {
                            "location": "site-001",
                            "devices": 100,
                            "as_of": "2026-11-22T14:05:00.000Z",
                            "state": "fresh",
                        }
                    ],
                    "next": None,
                }
            ]
        }
    )

    locations: list[LocationView]
    next: str | None


@router.get("", summary="List locations", responses=answers())
def list_locations(
    services: ServicesOf, principal: PrincipalOf, cursor: Cursor = None, limit: Limit = 100
) -> LocationPage:
    """Places by name that the directory has named so far; none where no directory is connected."""
    after = "" if cursor is None else decode_text("locations", cursor, tenant=principal.tenant)
    found, following = services.mapping.locations(principal, after=after, limit=limit)
    return LocationPage(
        locations=[
            LocationView(
                location=each.name, devices=each.devices, as_of=iso(each.as_of_ms), state=each.freshness
            )
            for each in found
        ],
        next=None if following is None else encode_cursor("locations", following, tenant=principal.tenant),
    )


@router.get("/{location}/devices", summary="List a location's devices", responses=answers(404))
def list_location_devices(
    services: ServicesOf, principal: PrincipalOf, location: Name, cursor: Cursor = None, limit: Limit = 100
) -> OwnershipPage:
    """Devices by name, from what the directory has said of each; of one that it never named: `unknown`.

    404 where no directory is connected.
    """
    after = "" if cursor is None else decode_text("location devices", cursor, tenant=principal.tenant)
    found = services.mapping.devices_at(principal, location, after=after, limit=limit)
    following = None
    if found.more:
        following = encode_cursor("location devices", found.devices[-1].device, tenant=principal.tenant)
    return ownership_page(found, following)
