"""/v1/people: who signs in; for admins."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Response
from msgspec import UNSET
from pydantic import BaseModel, ConfigDict, Field

from tocsin.access.person import NewPerson, Person, PersonChange
from tocsin.access.principal import Role
from tocsin.api.cursor import decode_text, encode_cursor
from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.etags import etag_of, version_in
from tocsin.api.names import Name, iso, iso_or_none
from tocsin.api.openapi import answers
from tocsin.api.parameters import Cursor, Limit
from tocsin.errors import PreconditionRequiredError
from tocsin.services.finishing import finished
from tocsin.services.people import Invited

router = APIRouter(prefix="/v1/people", tags=["people"])

_GUID = "6f9619ff-8b86-d011-b42d-00c04fc964ff"
_NEW: dict[str, Any] = {
    "name": "maria",
    "display_name": "Maria Rossi",
    "roles": ["technician"],
    "technician": _GUID,
}
_PERSON: dict[str, Any] = {
    "id": "person_0f3a9b2c4d5e6f70",
    "name": "maria",
    "display_name": "Maria Rossi",
    "roles": ["technician"],
    "technician": _GUID,
    "disabled": False,
    "must_change_password": True,
    "one_time_until": "2026-11-29T10:00:00.000Z",
    "version": 1,
    "created_at": "2026-11-22T10:00:00.000Z",
    "created_by": "0f3a9b2c4d5e6f70",
    "signed_in_at": None,
}
PersonText = Annotated[str, Field(min_length=1, max_length=128)]
Technician = Annotated[str, Field(min_length=36, max_length=36)]
NameFilter = Annotated[str | None, Query(max_length=128, description="Only who signs in with this name.")]
IfMatch = Annotated[
    str | None, Header(description="The ETag of the person as it was read; `*` for whatever it is now.")
]


class PersonRequest(BaseModel):
    """Whom to let in. `name` is typed to sign in; `technician` is the directory's GUID of a technician."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_NEW]})

    name: PersonText
    display_name: PersonText
    roles: list[Role] = Field(min_length=1, max_length=5)
    technician: Technician | None = None


class PersonChangeRequest(BaseModel):
    """What becomes another; what is left out stays as it is. `technician` null = none."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"disabled": True}]})

    display_name: PersonText = ""
    roles: list[Role] = Field([], max_length=5)
    technician: Technician | None = None
    disabled: bool = False


class PersonView(BaseModel):
    """A person as kept, without the password. `version` is the ETag."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PERSON]})

    id: str
    name: str
    display_name: str
    roles: list[Role]
    technician: str | None
    disabled: bool
    must_change_password: bool
    one_time_until: str | None
    version: int
    created_at: str
    created_by: str
    signed_in_at: str | None


class PersonPage(BaseModel):
    """A page by name, disabled ones too; `next` is the cursor of the next one, null at the end."""

    people: list[PersonView]
    next: str | None


class InvitedView(BaseModel):
    """A person and a password for the first sign-in. Hand it over now: it can't be read again."""

    person: PersonView
    one_time_password: str


def person_view(person: Person) -> PersonView:
    """What an admin sees of a person."""
    return PersonView(
        id=person.person_id,
        name=person.name,
        display_name=person.display_name,
        roles=list(person.roles),
        technician=person.technician,
        disabled=person.disabled,
        must_change_password=person.one_time_until_ms is not None,
        one_time_until=iso_or_none(person.one_time_until_ms),
        version=person.revision,
        created_at=iso(person.created_ms),
        created_by=person.created_by,
        signed_in_at=iso_or_none(person.signed_in_ms),
    )


@router.get("", summary="List people", responses=answers())
def list_people(
    services: ServicesOf,
    principal: PrincipalOf,
    name: NameFilter = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> PersonPage:
    """People of the tenant, by name."""
    after = "" if cursor is None else decode_text("people", cursor, tenant=principal.tenant)
    if name is not None:
        return PersonPage(people=list(map(person_view, services.people.named(principal, name))), next=None)
    found, following = services.people.page(principal, after=after, limit=limit)
    return PersonPage(
        people=list(map(person_view, found)),
        next=None if following is None else encode_cursor("people", following, tenant=principal.tenant),
    )


@router.post("", summary="Let somebody in", status_code=201, responses=answers(408, 409, 413, 507))
async def create_person(services: ServicesOf, principal: PrincipalOf, wanted: PersonRequest) -> InvitedView:
    """A person of the tenant; the answer holds a one-time password, this once. It can be used for 7 days, and
    whoever signs in with it has to choose another one.
    """
    new = NewPerson(
        tenant=principal.tenant,
        name=wanted.name,
        display_name=wanted.display_name,
        roles=tuple(wanted.roles),
        technician=wanted.technician,
    )
    return _invited(await finished(services.people.create(principal, new)))


@router.get("/{person_id}", summary="Read a person", responses=answers(404))
def read_person(
    services: ServicesOf, principal: PrincipalOf, person_id: Name, response: Response
) -> PersonView:
    """One person, with the ETag that a change names."""
    return _with_etag(response, services.people.one(principal, person_id))


@router.patch("/{person_id}", summary="Change a person", responses=answers(404, 408, 409, 412, 413, 428, 507))
def change_person(
    services: ServicesOf,
    principal: PrincipalOf,
    person_id: Name,
    wanted: PersonChangeRequest,
    response: Response,
    if_match: IfMatch = None,
) -> PersonView:
    """Another name to show, roles, technician; or disabled, which ends what the person is signed in to.

    If-Match has to be there: if somebody else has changed the person since, nothing is done. Nobody disables
    or demotes themselves, so that no admin locks the tenant out.
    """
    if if_match is None:
        raise PreconditionRequiredError(
            "Send If-Match with the person's ETag, or * for whatever it is now.", field="If-Match"
        )
    change = PersonChange(
        display_name=_said(wanted, "display_name"),
        roles=tuple(wanted.roles) if "roles" in wanted.model_fields_set else UNSET,
        technician=_said(wanted, "technician"),
        disabled=_said(wanted, "disabled"),
    )
    revision = version_in(if_match, "a person")
    return _with_etag(response, services.people.change(principal, person_id, change, revision=revision))


@router.post(
    "/{person_id}/one-time-password",
    summary="Give a person a new one-time password",
    responses=answers(404, 507),
)
async def invite_person(services: ServicesOf, principal: PrincipalOf, person_id: Name) -> InvitedView:
    """For whoever has forgotten the own one. That one ends, and whatever the person is signed in to."""
    return _invited(await finished(services.people.invite(principal, person_id)))


def _said(wanted: PersonChangeRequest, field: str) -> Any:
    return getattr(wanted, field) if field in wanted.model_fields_set else UNSET


def _with_etag(response: Response, person: Person) -> PersonView:
    response.headers["ETag"] = etag_of(person.revision)
    return person_view(person)


def _invited(invited: Invited) -> InvitedView:
    return InvitedView(person=person_view(invited.person), one_time_password=invited.password)
