"""What a directory says of devices, as people see it."""

from __future__ import annotations

from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from tocsin.api.names import iso_or_none
from tocsin.directory.abstract import DeviceList, Freshness, Ownership

DEVICE_EXAMPLE: Final[dict[str, Any]] = {
    "device": "pump-7",
    "technician": "6f9619ff-8b86-4011-b42d-00c04fc964ff",
    "location": "site-001",
    "as_of": "2026-11-22T14:05:00.000Z",
    "state": "fresh",
}


class OwnershipView(BaseModel):
    """A device, who is responsible for it, and where it stands. `as_of`: when the directory was asked.

    `state`: `fresh`, `stale` (the directory could not be asked in time) or `unknown`. Null: it names nobody,
    or no place.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [DEVICE_EXAMPLE]})

    device: str
    technician: str | None
    location: str | None
    as_of: str | None
    state: Freshness


class OwnershipPage(BaseModel):
    """A page by name; `next` is the cursor of the next one, null at the end.

    `as_of` and `state` are those of the list: what moved since then is not in it. `unknown`: the directory
    has not said yet what belongs here, so the list may lack devices.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "devices": [DEVICE_EXAMPLE],
                    "as_of": "2026-11-22T14:05:00.000Z",
                    "state": "fresh",
                    "next": None,
                }
            ]
        }
    )

    devices: list[OwnershipView]
    as_of: str | None
    state: Freshness
    next: str | None


def ownership_view(known: Ownership) -> OwnershipView:
    """What people see of it."""
    return OwnershipView(
        device=known.device,
        technician=known.technician,
        location=known.location,
        as_of=iso_or_none(known.as_of_ms),
        state=known.freshness,
    )


def ownership_page(found: DeviceList, following: str | None) -> OwnershipPage:
    """The page, with the cursor of the next one."""
    return OwnershipPage(
        devices=[ownership_view(device) for device in found.devices],
        as_of=iso_or_none(found.as_of_ms),
        state=found.freshness,
        next=following,
    )
