"""What an executor tells the driver: sums behind the digests, counts and episodes, as rows of one table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec
import pyarrow as pa

from tocsin.model import Episode, SeriesKey
from tocsin.processing.state import digest_sums
from tocsin.runtimes.backtest.partition import PartitionRun
from tocsin.runtimes.backtest.results import DIGESTS, Results

FINDINGS: Final = pa.schema(
    [
        ("kind", pa.utf8()),
        ("tenant", pa.utf8()),
        ("application", pa.utf8()),
        ("device", pa.utf8()),
        ("parameter", pa.utf8()),
        ("payload", pa.binary()),
    ]
)
_EPISODE: Final = "episode"
_COUNTS: Final = "counts"
_VERDICTS: Final = "verdicts"
_Row = tuple[str, str, str, str, str, bytes]


def findings_of(run: PartitionRun, verdict_rows: int) -> pa.Table:
    """What came of one partition; one row for each series and digest, and each state of an episode."""
    columns = list(zip(*_rows(run, verdict_rows), strict=True))
    return pa.Table.from_arrays(
        [pa.array(values, kind.type) for values, kind in zip(columns, FINDINGS, strict=True)], schema=FINDINGS
    )


def gather(findings: pa.Table) -> Results:
    """The findings of all partitions, added up; their order does not matter but for states of an episode."""
    results = Results()
    columns = [findings.column(name).to_pylist() for name in FINDINGS.names]
    for kind, tenant, application, device, parameter, payload in zip(*columns, strict=True):
        if kind in DIGESTS:
            key = SeriesKey(tenant, application, device, parameter)
            results.sums[kind].append((key, int.from_bytes(payload, "little")))
        elif kind == _EPISODE:
            results.episodes.append(msgspec.msgpack.decode(payload, type=Episode))
        elif kind == _COUNTS:
            results.counts.update(msgspec.json.decode(payload, type=dict[str, int]))
        else:
            results.verdict_rows += int.from_bytes(payload, "little")
    return results


def _rows(run: PartitionRun, verdict_rows: int) -> Iterator[_Row]:
    yield (_VERDICTS, "", "", "", "", verdict_rows.to_bytes(16, "little"))
    for episode in run.episodes:
        yield (_EPISODE, "", "", "", "", msgspec.msgpack.encode(episode))
    for tenant in run.state.tenants.values():
        yield (_COUNTS, "", "", "", "", msgspec.json.encode(tenant.counts))
        for name, sums in digest_sums(tenant).items():
            for key, total in sums:
                names = (key.tenant, key.application, key.device, key.parameter)
                yield (name, *names, total.to_bytes(16, "little"))
