"""/v1/anomalies/{id}/feedback: what people say of an anomaly, and what it changes."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field

from tocsin.api.actions import (
    ActionView,
    IdempotencyKey,
    IfMatch,
    action_headers,
    action_view,
    changed_response,
    version_of,
)
from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.names import Name
from tocsin.api.openapi import answers
from tocsin.control import FeedbackKind
from tocsin.inbox.action import ActionKind, Target
from tocsin.services.actions import ChangedError

router = APIRouter(tags=["anomalies"])

_EXAMPLE: Final[dict[str, Any]] = {
    "action": 18,
    "kind": "feedback",
    "at": "2026-11-22T14:12:00.000Z",
    "actor": "key_1f0c",
    "done": [{"id": "an_0193a7c2f4", "version": 5}],
    "left": [],
    "feedback": "false_alarm",
    "series": [{"application": "hvac", "parameter": "temperature", "detector": "seasonal"}],
}


class FeedbackRequest(BaseModel):
    """What it was, and why, for people."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"kind": "false_alarm", "note": "the door was open"}]}
    )

    kind: FeedbackKind
    note: str = Field("", max_length=4000)


class SeriesNameView(BaseModel):
    """A series of the device, as one detector judges it."""

    application: str
    parameter: str
    detector: str


class FeedbackView(ActionView):
    """What was said, durable, and the series that are judged otherwise from the next reading on."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    feedback: FeedbackKind
    series: list[SeriesNameView]


@router.post(
    "/v1/anomalies/{anomaly_id}/feedback",
    summary="Say what an anomaly was",
    response_model=FeedbackView,
    responses=answers(404, 408, 409, 412, 413, 428, 507),
)
def give_feedback(
    services: ServicesOf,
    principal: PrincipalOf,
    anomaly_id: Name,
    wanted: FeedbackRequest,
    if_match: IfMatch = None,
    idempotency_key: IdempotencyKey = "",
) -> Response:
    """`false_alarm` raises the limits of its series to 1.5 times what they are, at most three times in all;
    `withdrawn` takes the last step back. It acts from behind the device's newest reading on, and the series
    shows it. If-Match has to be there, as for other actions.
    """
    target = Target(id=anomaly_id, version=version_of(ActionKind.FEEDBACK, if_match))
    try:
        given = services.feedback.give(
            principal, anomaly_id, wanted.kind, note=wanted.note, target=target, key=idempotency_key
        )
    except ChangedError as error:
        return changed_response(error)
    view = FeedbackView(
        **action_view(given.recorded).model_dump(),
        feedback=wanted.kind,
        series=[
            SeriesNameView(application=each.application, parameter=each.parameter, detector=each.detector)
            for each in given.series
        ],
    )
    headers = action_headers(given.recorded, etag=given.recorded.outcomes[0].version)
    return Response(view.model_dump_json(), headers=headers, media_type="application/json")
