"""How well dump detectors find what `tocsin simulate dumps` labels: a table, then all figures as JSON.

    python -m benchmarks.quality.dump_findings DUMPS FINDINGS.ndjson ...

FINDINGS are what `tocsin detector run NAME DUMPS --out FINDINGS.ndjson` wrote. `--device` counts these
devices alone.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

_MONTH_MS = 30 * 86_400_000
Row = TypeVar("Row")


class Label(msgspec.Struct, frozen=True):
    """A fault of one component."""

    device: str
    component: str
    kind: str
    from_ms: int
    to_ms: int


class DumpRow(msgspec.Struct, frozen=True):
    """A dump, and the time that it is about."""

    device: str
    sequence: int
    collected_from_ms: int
    collected_to_ms: int


class FindingRow(msgspec.Struct, frozen=True):
    """A finding, with what makes it one episode with that of the dump before."""

    device: str
    sequence: int
    detector: str
    component: str
    code: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """Faults found by kind, and episodes that belong to none."""

    found: Counter[str]
    false_alarms: int


def judge(
    labels: Sequence[Label], dumps: Mapping[tuple[str, int], DumpRow], findings: Iterable[FindingRow]
) -> Judged:
    """A fault is found by a finding of its component in a dump that it overlaps.

    Findings of one device, component, code and key in dumps that follow each other are one episode; it is a
    false alarm if none of its dumps overlaps a fault of that component.
    """
    of_component: defaultdict[tuple[str, str], list[Label]] = defaultdict(list)
    for label in labels:
        of_component[label.device, label.component].append(label)
    hits: set[Label] = set()
    false_alarms = 0
    for episode in _episodes(findings):
        touched = {
            label
            for row in episode
            for label in of_component[row.device, row.component]
            if _overlaps(label, dumps[row.device, row.sequence])
        }
        hits |= touched
        false_alarms += not touched
    return Judged(Counter(label.kind for label in hits), false_alarms)


def _overlaps(label: Label, dump: DumpRow) -> bool:
    return dump.collected_from_ms < label.to_ms and dump.collected_to_ms > label.from_ms


def _episodes(findings: Iterable[FindingRow]) -> list[list[FindingRow]]:
    rows = sorted(
        findings, key=lambda row: (row.detector, row.device, row.component, row.code, row.key, row.sequence)
    )
    episodes: list[list[FindingRow]] = []
    for row in rows:
        before = episodes[-1][-1] if episodes else None
        follows = before is not None and msgspec.structs.replace(before, sequence=row.sequence) == row
        if before is not None and follows and row.sequence <= before.sequence + 1:
            episodes[-1].append(row)
        else:
            episodes.append([row])
    return episodes


def main() -> None:
    """Print the table and the figures."""
    parser = argparse.ArgumentParser(description="Dump detectors against labels; last line is JSON.")
    parser.add_argument("dumps", type=Path)
    parser.add_argument("findings", type=Path, nargs="+")
    parser.add_argument("--device", action="append", default=[])
    asked = parser.parse_args()

    def wanted(device: str) -> bool:
        return not asked.device or device in asked.device

    labels = [row for row in _rows(asked.dumps / "labels.ndjson", Label) if wanted(row.device)]
    dumps = [row for row in _rows(asked.dumps / "dumps.ndjson", DumpRow) if wanted(row.device)]
    known = {(row.device, row.sequence): row for row in dumps}
    judged = {}
    for path in asked.findings:
        rows = [row for row in _rows(path, FindingRow) if wanted(row.device)]
        judged[rows[0].detector if rows else path.stem] = judge(labels, known, rows)
    months = sum(row.collected_to_ms - row.collected_from_ms for row in dumps) / _MONTH_MS
    _print(labels, judged, months)


def _rows(path: Path, kind: type[Row]) -> list[Row]:
    decoder = msgspec.json.Decoder(kind)
    return [decoder.decode(line) for line in path.read_bytes().splitlines()]


def _print(labels: Sequence[Label], judged: Mapping[str, Judged], months: float) -> None:
    print(f"| fault | labelled | {' | '.join(judged)} |\n|---|---|{'---|' * len(judged)}")
    figures: dict[str, float] = {}
    for kind, count in sorted(Counter(label.kind for label in labels).items()):
        print(f"| {kind} | {count} | {' | '.join(str(each.found[kind]) for each in judged.values())} |")
        figures |= {f"{name}_{kind}": round(each.found[kind] / count, 4) for name, each in judged.items()}
    rates = {name: round(each.false_alarms / months, 2) for name, each in judged.items()}
    print(f"| false alarms per device and month | | {' | '.join(map(str, rates.values()))} |")
    figures |= {f"{name}_false_alarms_per_device_month": rate for name, rate in rates.items()}
    print(json.dumps(figures | {"device_months": round(months, 2)}))


if __name__ == "__main__":
    main()
