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
            episodes=_valid(self.episodes),
            anomalies=_write_anomalies(out / "anomalies.ndjson", tenant, self.episodes, inbox),
            verdict_rows=self.verdict_rows,
            rows=rows,
            seconds=round(seconds, 3),
        )
        text = msgspec.json.format(msgspec.json.encode(summary), indent=2)
        (out / "summary.json").write_bytes(text + b"\n")
        return summary


def _valid(episodes: Sequence[Episode]) -> int:
    """How many episodes are left that no correction has retracted."""
    newest = {episode.id: episode for episode in episodes}
    return sum(not episode.retracted for episode in newest.values())


def _write_anomalies(path: Path, tenant: str, episodes: Sequence[Episode], inbox: Inbox) -> int:
    """Fold the episodes in the order of their time and write one anomaly a line, oldest first."""
    dated = _in_time(episodes)
    folded = [OutboxRow(sequence, episode) for sequence, (_, _, episode) in enumerate(dated, 1)]
    inbox.fold(folded, now_ms=max((moment_ms for moment_ms, _, _ in dated), default=0))
    anomalies = sorted(_all(tenant, inbox), key=lambda anomaly: (anomaly.started_ms, anomaly.id))
    with path.open("wb") as stream:
        stream.writelines(msgspec.json.encode(anomaly) + b"\n" for anomaly in anomalies)
    return len(anomalies)


def _all(tenant: str, inbox: Inbox) -> Iterator[Anomaly]:
    before = None
    while page := inbox.anomalies(AnomalyQuery(tenant, before_sequence=before, limit=200)):
        yield from page
        before = page[-1].updated_sequence


def _in_time(episodes: Sequence[Episode]) -> list[tuple[int, str, Episode]]:
    """The states by (moment, id), in the time of the data.

    No state comes before an earlier one of the same episode, though a correction may end it earlier.
    """
    newest: dict[str, int] = {}
    dated = []
    for episode in episodes:
        lasting_ms = max(episode.opened_ms, episode.last_abnormal_ms)
        moment_ms = lasting_ms if episode.end_ms is None else episode.end_ms
        newest[episode.id] = max(moment_ms, newest.get(episode.id, moment_ms))
        dated.append((newest[episode.id], episode.id, episode))
    return sorted(dated, key=lambda item: item[:2])
