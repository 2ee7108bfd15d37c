"""/v1/anomalies/{id}/feedback: what people say of an anomaly, and what it changes."""

from __future__ import annotations

from collections.abc import Sequence
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
from tocsin.api.names import Name, iso, iso_or_none
from tocsin.api.openapi import answers
from tocsin.control import FeedbackKind, SeriesName
from tocsin.inbox.action import ActionKind, Target
from tocsin.model import Episode, Severity
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


_PREVIEW: Final[dict[str, Any]] = {
    "kind": "false_alarm",
    "series": [{"application": "hvac", "parameter": "temperature", "detector": "seasonal"}],
    "from_at": "2026-10-23T14:12:00.000Z",
    "to_at": "2026-11-22T14:12:00.000Z",
    "episodes_without": 4,
    "episodes_with": 1,
    "vanishing": [
        {
            "parameter": "temperature",
            "detector": "seasonal",
            "severity": "warning",
            "started_at": "2026-11-22T14:03:00.000Z",
            "ended_at": None,
            "explanation": "temperature 93.2 °C is 12.1 °C above the 81.1 °C limit usual on Sundays at 14:00",
        }
    ],
    "changing": [],
    "appearing": [],
}
TOLD_MAX: Final = 100


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


class PreviewRequest(BaseModel):
    """What it might be said to have been."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"kind": "false_alarm"}]})

    kind: FeedbackKind


class EpisodeBrief(BaseModel):
    """An episode as it would be; what only would be has no id that could be asked for."""

    parameter: str
    detector: str
    severity: Severity
    started_at: str
    ended_at: str | None
    explanation: str


class PreviewView(BaseModel):
    """Episodes of the last 30 days up to the device's newest reading: by limits of now, and with feedback.

    At most 100 of those that would vanish, change or appear are told; those that change as they would be.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [_PREVIEW]})

    kind: FeedbackKind
    series: list[SeriesNameView]
    from_at: str
    to_at: str
    episodes_without: int
    episodes_with: int
    vanishing: list[EpisodeBrief]
    changing: list[EpisodeBrief]
    appearing: list[EpisodeBrief]


def _brief(episode: Episode) -> EpisodeBrief:
    return EpisodeBrief(
        parameter=episode.parameter,
        detector=episode.detector,
        severity=episode.severity,
        started_at=iso(episode.started_ms),
        ended_at=iso_or_none(episode.end_ms),
        explanation=episode.explanation,
    )


def _names(series: Sequence[SeriesName]) -> list[SeriesNameView]:
    return [
        SeriesNameView(application=each.application, parameter=each.parameter, detector=each.detector)
        for each in series
    ]


@router.post(
    "/v1/anomalies/{anomaly_id}/feedback/preview",
    summary="See what feedback would have changed",
    responses=answers(404, 408, 409, 413),
)
def preview_feedback(
    services: ServicesOf, principal: PrincipalOf, anomaly_id: Name, wanted: PreviewRequest
) -> PreviewView:
    """Judges the device's readings again, as it is and with the feedback. `false_alarm` and `new_normal` are
    tried as if given 30 days before its newest reading; of `confirmed`, `expected` and `withdrawn` the
    answer is what would be revised. Changes nothing.
    """
    found = services.feedback.preview(principal, anomaly_id, wanted.kind)
    difference = found.difference
    return PreviewView(
        kind=wanted.kind,
        series=_names(found.series),
        from_at=iso(difference.from_ms),
        to_at=iso(difference.to_ms),
        episodes_without=len(difference.without),
        episodes_with=len(difference.given),
        vanishing=[_brief(each) for each in difference.vanishing[:TOLD_MAX]],
        changing=[_brief(each) for each in difference.changing[:TOLD_MAX]],
        appearing=[_brief(each) for each in difference.appearing[:TOLD_MAX]],
    )


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
    `new_normal` has everything learnt anew. Both act from behind the device's newest reading on. `confirmed`
    keeps what is abnormal out of learning, `expected` has it learnt at the same hours of the week; both from
    where the anomaly began, for 30 days, and what came since is judged again. `withdrawn` takes the last one
    back. The series shows what acts. If-Match has to be there, as for other actions.
    """
    target = Target(id=anomaly_id, version=version_of(ActionKind.FEEDBACK, if_match))
    try:
        given = services.feedback.give(
            principal, anomaly_id, wanted.kind, note=wanted.note, target=target, key=idempotency_key
        )
    except ChangedError as error:
        return changed_response(services, principal, error)
    view = FeedbackView(
        **action_view(given.recorded).model_dump(),
        feedback=wanted.kind,
        series=_names(given.series),
    )
    headers = action_headers(given.recorded, etag=given.recorded.outcomes[0].version)
    return Response(view.model_dump_json(), headers=headers, media_type="application/json")
