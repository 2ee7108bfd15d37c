"""/v1/audit: who did what, and who was refused; for admins."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from tocsin.access.audit_entry import Outcome, StoredEntry
from tocsin.api.cursor import decode_number, encode_cursor
from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.names import iso
from tocsin.api.openapi import answers
from tocsin.api.parameters import Cursor, Limit

router = APIRouter(prefix="/v1/audit", tags=["access"])


class AuditEntryView(BaseModel):
    """One entry; `chain` ties it to all before it, so that a change shows."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "sequence": 12,
                    "at": "2026-11-22T10:00:00.000Z",
                    "actor": "0f3a9b2c4d5e6f70",
                    "action": "credential.revoke",
                    "object": "77aa0c1b2d3e4f50",
                    "outcome": "allowed",
                    "address": "",
                    "detail": "",
                    "chain": "5b0c…",
                }
            ]
        }
    )

    sequence: int
    at: str
    actor: str
    action: str
    object: str
    outcome: Outcome
    address: str
    detail: str
    chain: str


class AuditPage(BaseModel):
    """A page, newest first; `next` is the cursor of the next one, null at the end."""

    entries: list[AuditEntryView]
    next: str | None


def entry_view(stored: StoredEntry) -> AuditEntryView:
    """What an admin sees of an entry."""
    entry = stored.entry
    return AuditEntryView(
        sequence=stored.sequence,
        at=iso(entry.at_ms),
        actor=entry.actor,
        action=entry.action,
        object=entry.object,
        outcome=entry.outcome,
        address=entry.address,
        detail=entry.detail,
        chain=stored.chain,
    )


@router.get("", summary="Read the audit log", responses=answers())
def list_audit(
    services: ServicesOf, principal: PrincipalOf, cursor: Cursor = None, limit: Limit = 100
) -> AuditPage:
    """Entries of the tenant, newest first."""
    before = None if cursor is None else decode_number("audit", cursor, tenant=principal.tenant)
    found, following = services.audit.page(principal, before=before, limit=limit)
    return AuditPage(
        entries=[entry_view(stored) for stored in found],
        next=None if following is None else encode_cursor("audit", following, tenant=principal.tenant),
    )
