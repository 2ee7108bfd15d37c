"""/api: the short questions that people know by heart; they speak of readings."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict

from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.names import finite, iso
from tocsin.api.openapi import answers
from tocsin.api.parameters import time_or_none
from tocsin.scores.abstract import AbnormalReading

router = APIRouter(prefix="/api", tags=["short"])


class AbnormalReadingView(BaseModel):
    """A reading that a detector called abnormal; a score above 1 is beyond the limit."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "application": "hvac",
                    "device": "pump-7",
                    "parameter": "temperature",
                    "ts": "2026-11-22T14:10:00.000Z",
                    "value": 93.2,
                    "expected": 78.0,
                    "lower": 74.9,
                    "upper": 81.1,
                    "score": 1.8,
                    "detector": "seasonal",
                }
            ]
        }
    )

    application: str
    device: str
    parameter: str
    ts: str
    value: float
    expected: float | None
    lower: float | None
    upper: float | None
    score: float | None
    detector: str


class OutliersCount(BaseModel):
    """How many abnormal readings lie after `after` and up to `through`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "outliers_count": 42,
                    "time_range": "4h",
                    "after": "2026-11-22T10:10:00.000Z",
                    "through": "2026-11-22T14:10:00.000Z",
                }
            ]
        }
    )

    outliers_count: int
    time_range: str
    after: str
    through: str


def reading_view(reading: AbnormalReading) -> AbnormalReadingView:
    """What people see of an abnormal reading."""
    return AbnormalReadingView(
        application=reading.application,
        device=reading.device,
        parameter=reading.parameter,
        ts=iso(reading.ts),
        value=reading.value,
        expected=reading.expected,
        lower=reading.lower,
        upper=reading.upper,
        score=finite(reading.score),
        detector=reading.detector,
    )


@router.get("/latest_anomalies", summary="The newest 10 abnormal readings", responses=answers())
def latest_anomalies(services: ServicesOf, principal: PrincipalOf) -> list[AbnormalReadingView]:
    """The ten abnormal readings with the newest time stamps, newest first."""
    return [reading_view(reading) for reading in services.short.latest(principal)]


@router.get("/outliers_count", summary="Count abnormal readings", responses=answers())
def outliers_count(
    services: ServicesOf,
    principal: PrincipalOf,
    time_range: Annotated[
        str,
        Query(
            pattern="^[1-9][0-9]{0,5}[mhd]$",
            description="A positive whole number and m, h or d.",
            examples=["5m", "4h", "30d"],
        ),
    ],
    at: Annotated[
        str | None, Query(max_length=64, description="The end of the range; now by default.")
    ] = None,
) -> OutliersCount:
    """Abnormal readings in the time range that ends now, or at `at`."""
    counted = services.short.count(principal, time_range, time_or_none(at, "at"))
    return OutliersCount(
        outliers_count=counted.count,
        time_range=time_range,
        after=iso(counted.after_ms),
        through=iso(counted.through_ms),
    )
