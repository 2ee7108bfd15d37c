"""/v1/episodes: what the processor found, with the evidence to derive it again."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from tocsin.api.cursor import decode_text, encode_cursor
from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.names import Name, finite, iso, iso_or_none
from tocsin.api.openapi import answers
from tocsin.api.parameters import Cursor, From, Limit, To, time_or_none
from tocsin.model import Episode, Severity
from tocsin.services.episodes import EpisodeQuery

router = APIRouter(prefix="/v1/episodes", tags=["episodes"])

_EXAMPLE: dict[str, Any] = {
    "id": "5f2a9c0e11d4",
    "application": "hvac",
    "version": "2.1",
    "device": "pump-7",
    "parameter": "temperature",
    "detector": "seasonal",
    "reason": "above",
    "severity": "warning",
    "started_at": "2026-11-22T14:03:00.000Z",
    "opened_at": "2026-11-22T14:08:00.000Z",
    "ended_at": None,
    "last_abnormal_at": "2026-11-22T14:10:00.000Z",
    "peak_at": "2026-11-22T14:09:00.000Z",
    "readings": 8,
    "value": 93.2,
    "expected": 78.0,
    "lower": 74.9,
    "upper": 81.1,
    "score": 1.8,
    "explanation": "temperature 93.2 °C is 12.1 °C above the 81.1 °C limit usual on Sundays at 14:00",
    "revision": 0,
    "retracted": False,
    "suppressed": None,
    "evidence": None,
}


_WINDOW_CHARACTERS_MAX: Final = 64
Suppressed = Annotated[
    bool | None, Query(description="Whether maintenance keeps it back, so that nobody was alerted.")
]
Window = Annotated[
    str | None,
    Query(max_length=_WINDOW_CHARACTERS_MAX, description="Id of the maintenance window that keeps it back."),
]


class EpisodeView(BaseModel):
    """A span of abnormal verdicts; the numbers are those of its peak, null where there is no band."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})

    id: str
    application: str
    version: str
    device: str
    parameter: str
    detector: str
    reason: str
    severity: Severity
    started_at: str
    opened_at: str
    ended_at: str | None
    last_abnormal_at: str
    peak_at: str
    readings: int
    value: float | None
    expected: float | None
    lower: float | None
    upper: float | None
    score: float | None
    explanation: str
    revision: int
    retracted: bool
    suppressed: str | None = Field(description="The maintenance window because of which nobody was alerted.")
    evidence: dict[str, Any] | None = Field(
        description="All that is needed to derive the episode again, as it is kept; bytes are base64."
    )


class EpisodePage(BaseModel):
    """A page by id, without evidence; `next` is the cursor of the next one, null at the end."""

    episodes: list[EpisodeView]
    next: str | None


class ProofView(BaseModel):
    """Whether the episode was derived again, from how many readings, and what differs."""

    matches: bool
    readings: int
    differences: list[str]


class Revisions(BaseModel):
    """Every state and revision of an episode, oldest first."""

    revisions: list[EpisodeView]


def episode_view(episode: Episode) -> EpisodeView:
    """What people see of an episode."""
    return EpisodeView(
        id=episode.id,
        application=episode.application,
        version=episode.version,
        device=episode.device,
        parameter=episode.parameter,
        detector=episode.detector,
        reason=episode.reason,
        severity=episode.severity,
        started_at=iso(episode.started_ms),
        opened_at=iso(episode.opened_ms),
        ended_at=iso_or_none(episode.end_ms),
        last_abnormal_at=iso(episode.last_abnormal_ms),
        peak_at=iso(episode.peak_ms),
        readings=episode.readings,
        value=finite(episode.value),
        expected=finite(episode.expected),
        lower=finite(episode.lower),
        upper=finite(episode.upper),
        score=finite(episode.score),
        explanation=episode.explanation,
        revision=episode.revision,
        retracted=episode.retracted,
        suppressed=episode.suppressed or None,
        evidence=msgspec.to_builtins(episode.evidence),
    )


@router.get("", summary="List episodes", responses=answers())
def list_episodes(
    services: ServicesOf,
    principal: PrincipalOf,
    device: str | None = None,
    from_: From = None,
    to: To = None,
    suppressed: Suppressed = None,
    window: Window = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> EpisodePage:
    """Newest revisions that overlap the span, by id. With `suppressed` or `window` a page may be short, and
    even empty, where there is a `next`: each looks at 5,000 episodes at most.
    """
    query = EpisodeQuery(
        device=device,
        from_ms=time_or_none(from_, "from"),
        to_ms=time_or_none(to, "to"),
        after_id="" if cursor is None else decode_text("episodes", cursor, tenant=principal.tenant),
        limit=limit,
        suppressed=suppressed,
        window=window,
    )
    found, after = services.episodes.page(principal, query)
    following = None if after is None else encode_cursor("episodes", after, tenant=principal.tenant)
    return EpisodePage(episodes=[episode_view(episode) for episode in found], next=following)


@router.get("/{episode_id}", summary="Read an episode with its evidence", responses=answers(404))
def read_episode(services: ServicesOf, principal: PrincipalOf, episode_id: Name) -> EpisodeView:
    """The newest revision; `tocsin explain` derives it again from the evidence."""
    return episode_view(services.episodes.one(principal, episode_id))


@router.get("/{episode_id}/revisions", summary="Read an episode's revisions", responses=answers(404))
def read_revisions(services: ServicesOf, principal: PrincipalOf, episode_id: Name) -> Revisions:
    """What was said first and what corrections made of it, oldest first."""
    found = services.episodes.revisions(principal, episode_id)
    return Revisions(revisions=[episode_view(episode) for episode in found])


@router.get("/{episode_id}/proof", summary="Derive an episode again", responses=answers(404))
def prove_episode(services: ServicesOf, principal: PrincipalOf, episode_id: Name) -> ProofView:
    """Judges the raw records again from the kept state and says whether the episode comes out the same."""
    proof = services.proofs.of(principal, episode_id)
    return ProofView(matches=proof.matches, readings=proof.readings, differences=list(proof.differences))
