"""Episodes for an inbox, and what it shows of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from tests.commit_kit import EPISODE
from tocsin.commit.abstract import OutboxRow
from tocsin.inbox.abstract import Anomaly, AnomalyQuery, Inbox
from tocsin.inbox.folding import Windows
from tocsin.model import Episode

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
NOW_MS = 10**12
WINDOWS = Windows(correlation_ms=10 * MINUTE_MS, recurrence_ms=DAY_MS)
Opener = Callable[..., Inbox]


def episode(name: str, start_min: int, end_min: int | None = None, **changed: Any) -> Episode:
    """An episode of pump-7's temperature from one minute to another, or lasting."""
    base = msgspec.structs.replace(
        EPISODE,
        id=name,
        tenant="a",
        application="hvac",
        version="1",
        started_ms=start_min * MINUTE_MS,
        opened_ms=(start_min + 5) * MINUTE_MS,
        end_ms=None if end_min is None else end_min * MINUTE_MS,
        last_abnormal_ms=(start_min + 5 if end_min is None else end_min) * MINUTE_MS,
        peak_ms=start_min * MINUTE_MS,
        readings=6,
        expected=75.0,
        lower=70.0,
        score=2.0,
        explanation="temperature is high",
        evidence=None,
    )
    return msgspec.structs.replace(base, **changed)


def rows(*episodes: Episode, first: int = 1) -> list[OutboxRow]:
    """The episodes as the outbox numbers them."""
    return [OutboxRow(first + number, each) for number, each in enumerate(episodes)]


def listed(inbox: Inbox, **filters: Any) -> list[Anomaly]:
    return inbox.anomalies(AnomalyQuery(**({"tenant": "a"} | filters)))


def only(inbox: Inbox) -> Anomaly:
    """The one anomaly there is."""
    (anomaly,) = listed(inbox)
    return anomaly


def kinds(inbox: Inbox, anomaly: Anomaly) -> list[str]:
    return [change.kind for change in inbox.history(anomaly.tenant, anomaly.id)]
