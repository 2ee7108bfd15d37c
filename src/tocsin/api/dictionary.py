"""/v1/dictionary: the templates of an application that are known on all its devices."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict

from tocsin.api.bodies import whole_body
from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.names import Name
from tocsin.api.openapi import answers
from tocsin.services.dictionaries import NAME_CHARACTERS_MAX, TakenOver
from tocsin.templates.dictionary import parse_dictionary

router = APIRouter(tags=["dictionary"])

Application = Annotated[
    str,
    Query(
        max_length=NAME_CHARACTERS_MAX,
        description="Product line, as its dumps name it. Empty: dumps that name none.",
    ),
]
_EXAMPLE: Final[dict[str, Any]] = {
    "application": "presses",
    "version": "5b1a6d9e0f6c4d2f8a7b3c1d2e4f5a6b",
    "templates": 212,
    "new": ["axis <*> lost its reference at <*> mm"],
    "vanished": [],
}
_BODY: Final[dict[str, Any]] = {
    "required": True,
    "description": "A dictionary as `tocsin templates --export` writes it.",
    "content": {"application/json": {"schema": {"type": "object"}}},
}


class DictionaryTakenOver(BaseModel):
    """What is in force from now on, how many templates it has, and how it differs from the one before."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    application: str
    version: str
    templates: int
    new: list[str]
    vanished: list[str]


def _view(taken: TakenOver) -> DictionaryTakenOver:
    return DictionaryTakenOver(
        application=taken.application,
        version=taken.dictionary.version,
        templates=len(taken.dictionary.templates),
        new=list(taken.new),
        vanished=list(taken.vanished),
    )


@router.get(
    "/v1/dictionary",
    summary="Read the dictionary of an application",
    responses=answers() | {200: {"description": "The dictionary.", "content": {"application/json": {}}}},
    response_class=Response,
)
def read_dictionary(services: ServicesOf, principal: PrincipalOf, application: Application = "") -> Response:
    """What is in force, as `tocsin templates` reads it; an empty partial one where nothing was taken over."""
    found = services.dictionaries.one(principal, application)
    return Response(found.to_json(), media_type="application/json")


@router.put(
    "/v1/dictionary",
    summary="Take over a dictionary for an application",
    responses=answers(408, 413, 507),
    openapi_extra={"requestBody": _BODY},
)
async def take_over_dictionary(
    request: Request, services: ServicesOf, principal: PrincipalOf, application: Application = ""
) -> DictionaryTakenOver:
    """From the next dump of each device on: what is in it is new on none, what is not in it is.

    It takes the place of the one before, with what that was taught: read that first.
    """
    dictionary = parse_dictionary(await whole_body(request), "the body")
    work = services.dictionaries.take_over
    return _view(await services.dumps.run(work, principal, application, dictionary))


@router.post(
    "/v1/anomalies/{anomaly_id}/expected",
    summary="Expect the new templates of an anomaly",
    responses=answers(404, 507),
)
def expect_anomaly(services: ServicesOf, principal: PrincipalOf, anomaly_id: Name) -> DictionaryTakenOver:
    """Teaches the application's dictionary: from the next dump of each device on they are new on none."""
    return _view(services.dictionaries.expect(principal, anomaly_id))
