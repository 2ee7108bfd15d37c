"""/healthz, /readyz, /metrics: for load balancers and monitoring; they tell nothing about any tenant."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response

from tocsin import __version__
from tocsin.api.dependencies import ServicesOf
from tocsin.api.openapi import Answers, answers
from tocsin.observability.meters import PROMETHEUS_CONTENT_TYPE

router = APIRouter(tags=["health"])
_BUSY: Answers = {503: answers()[503]}


class Alive(BaseModel):
    """The process answers."""

    status: str
    version: str


class CheckView(BaseModel):
    """One thing that must be right."""

    name: str
    ok: bool
    detail: str


class Ready(BaseModel):
    """Whether requests will be answered."""

    ready: bool
    checks: list[CheckView]


@router.get("/healthz", summary="Is the process alive?", responses=_BUSY)
async def healthz() -> Alive:
    """Answers whenever the process does; a failure means: restart it."""
    return Alive(status="alive", version=__version__)


@router.get(
    "/readyz",
    summary="Can it do its work?",
    response_model=Ready,
    responses={503: {"model": Ready, "description": "A check fails: send requests elsewhere."}},
)
def readyz(services: ServicesOf) -> Ready | JSONResponse:
    """Makes every check now."""
    found = services.health.readiness()
    checks = [CheckView(name=check.name, ok=check.ok, detail=check.detail) for check in found.checks]
    answer = Ready(ready=found.ready, checks=checks)
    return answer if found.ready else JSONResponse(answer.model_dump(), 503)


@router.get(
    "/metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses=_BUSY
    | {
        200: {
            "description": "Prometheus' text format.",
            "content": {"text/plain": {"schema": {"type": "string"}}},
        }
    },
)
def metrics(services: ServicesOf) -> Response:
    """Every metric; docs/reference/metrics.md says what to do when one looks wrong."""
    return Response(services.meters.render_prometheus(), media_type=PROMETHEUS_CONTENT_TYPE)
