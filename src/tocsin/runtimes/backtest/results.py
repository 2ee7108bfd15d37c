"""What a backtest writes, whatever runtime it ran in: summary.json and anomalies.ndjson."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from tocsin.commit.abstract import OutboxRow
from tocsin.inbox.abstract import Anomaly, AnomalyQuery, Inbox
from tocsin.model import Episode, SeriesKey
from tocsin.processing.hashing import combine

DIGESTS: Final = ("raw", "scored", "final")


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What a backtest found; counts by the conservation law."""

    events: int
    counts: dict[str, int]
    digest_raw: str
    digest_scored: str
    digest_final: str
    episodes: int
    anomalies: int
    verdict_rows: int
    rows: dict[str, int]
    seconds: float


@dataclass(slots=True)
class Results:
    """What came of all partitions, added up; `sums` are those behind each digest, by series."""

    counts: Counter[str] = field(default_factory=Counter)
    sums: dict[str, list[tuple[SeriesKey, int]]] = field(
        default_factory=lambda: {name: [] for name in DIGESTS}
    )
    episodes: list[Episode] = field(default_factory=list)
    verdict_rows: int = 0

    def write(self, out: Path, tenant: str, inbox: Inbox, rows: dict[str, int], seconds: float) -> Summary:
        """Fold the episodes in `inbox`, which must be empty, and write both files into `out`."""
        counts = Counter(self.counts)
        digests = {name: combine(sums) for name, sums in self.sums.items()}
        summary = Summary(
            events=counts.pop("events", 0),
            counts=dict(sorted(counts.items())),
            digest_raw=digests["raw"],
            digest_scored=digests["scored"],
            digest_final=digests["final"],
            episodes=len({episode.id for episode in self.episodes if not episode.retracted}),
            anomalies=_write_anomalies(out / "anomalies.ndjson", tenant, self.episodes, inbox),
            verdict_rows=self.verdict_rows,
            rows=rows,
            seconds=round(seconds, 3),
        )
        text = msgspec.json.format(msgspec.json.encode(summary), indent=2)
        (out / "summary.json").write_bytes(text + b"\n")
        return summary


def _write_anomalies(path: Path, tenant: str, episodes: Sequence[Episode], inbox: Inbox) -> int:
    """Fold the episodes in the order of their time and write one anomaly a line, oldest first."""
    ordered = sorted(episodes, key=_moment)
    folded = [OutboxRow(sequence, episode) for sequence, episode in enumerate(ordered, 1)]
    inbox.fold(folded, now_ms=max((_moment(episode)[0] for episode in ordered), default=0))
    anomalies = sorted(_all(tenant, inbox), key=lambda anomaly: (anomaly.started_ms, anomaly.id))
    with path.open("wb") as stream:
        stream.writelines(msgspec.json.encode(anomaly) + b"\n" for anomaly in anomalies)
    return len(anomalies)


def _all(tenant: str, inbox: Inbox) -> Iterator[Anomaly]:
    before = None
    while page := inbox.anomalies(AnomalyQuery(tenant, before_sequence=before, limit=200)):
        yield from page
        before = page[-1].updated_sequence


def _moment(episode: Episode) -> tuple[int, str, int]:
    """When a state of an episode came about, in the time of the data."""
    return (episode.end_ms or max(episode.opened_ms, episode.last_abnormal_ms), episode.id, episode.revision)
