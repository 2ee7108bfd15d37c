"""Retractions: what is said last of an episode that later records, or people, made vanish."""

from __future__ import annotations

from typing import Final

from tocsin.model import Episode, Severity
from tocsin.processing.state import Known, TenantState

BY_RECORDS: Final = "late records showed that nothing was abnormal"
BY_PEOPLE: Final = "with what people said of it nothing was abnormal"


def retracted(item: Known, state: TenantState, device: int, version: str, why: str) -> Episode:
    """The last revision of an episode; `version` is that of the software that shows it."""
    name = state.names.name(device)
    parameter = state.series_key(item.series).parameter if item.series >= 0 else ""
    return Episode(
        id=item.id,
        tenant=state.tenant,
        application=item.application,
        version=version,
        device=name,
        parameter=parameter,
        detector=item.detector,
        reason=item.reason,
        severity=Severity.INFO,
        started_ms=item.started_ms,
        opened_ms=item.started_ms,
        end_ms=item.end_ms if item.end_ms is not None else item.started_ms,
        last_abnormal_ms=item.started_ms,
        peak_ms=item.started_ms,
        readings=0,
        value=0.0,
        expected=0.0,
        lower=0.0,
        upper=0.0,
        score=0.0,
        explanation=why,
        revision=item.revision + 1,
        retracted=True,
    )
