"""The detector `logs` on labelled faults of simulated machines: what it finds, and how often it errs.

Machines work for two weeks, the second one with faults of all kinds; dumps are shown in order, packed as
each machine packs. Seeds and amounts of lines are those that no setting was chosen by. `unlogged` faults are
in no log and count for nothing.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from benchmarks.quality.dump_findings import DumpRow, FindingRow, Label, judge
from tocsin.dump_detectors.abstract import Device
from tocsin.dump_detectors.reading import ArchiveDump
from tocsin.dump_detectors.steps import DumpFacts
from tocsin.dumps.archive import Archive
from tocsin.dumps.source import BytesSource
from tocsin.log_detector.detector import Logs
from tocsin.simulate.dumps.faults import DumpFault, DumpFaultKind, dump_labels, plan_dump_faults
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.simulate.dumps.machine import Machine, MadeDump

START_MS: Final = 1_767_571_200_000  # Monday, 2026-01-05
WEEK_MS: Final = 7 * 86_400_000
MONTH_MS: Final = 30 * 86_400_000
FAULTS_PER_DEVICE: Final = 4.0
FLEETS: Final = (
    DumpFleet(devices=10, seed=12),
    DumpFleet(devices=5, seed=101, scale=0.7),
    DumpFleet(devices=5, seed=102, scale=0.4),
)


@dataclass(slots=True)
class Figures:
    """Faults by kind, those found, and episodes that belong to none."""

    labelled: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    false_alarms: int = 0
    months: float = 0.0

    def add(self, other: Figures) -> None:
        """Take in another fleet's."""
        self.labelled += other.labelled
        self.found += other.found
        self.false_alarms += other.false_alarms
        self.months += other.months

    @property
    def recall(self) -> float:
        """The share of the faults that logs show."""
        shown = {kind: count for kind, count in self.labelled.items() if kind != DumpFaultKind.UNLOGGED}
        return sum(self.found[kind] for kind in shown) / sum(shown.values())


def log_faults() -> dict[str, float]:
    """Measure all fleets, print the table; takes some minutes."""
    whole = Figures()
    for fleet in FLEETS:
        own = measured(fleet)
        told = f"recall {own.recall:.3f}, {own.false_alarms} false alarms"
        print(f"\nMachines of seed {fleet.seed}, {fleet.scale:g} times the usual lines: {told}", flush=True)
        whole.add(own)
    print("\n### Faults in logs\n\n| fault | labelled | found |\n|---|---|---|")
    for kind, count in sorted(whole.labelled.items()):
        print(f"| {kind} | {count} | {whole.found[kind]} |")
    rate = whole.false_alarms / whole.months
    print(f"\nfalse alarms: {whole.false_alarms} in {whole.months:.1f} device-months")
    return {"log_fault_recall": round(whole.recall, 4), "log_false_alarms_per_device_month": round(rate, 3)}


def measured(fleet: DumpFleet) -> Figures:
    """One fleet for two weeks."""
    begin, end = START_MS + WEEK_MS, START_MS + 2 * WEEK_MS
    faults = plan_dump_faults(fleet, tuple(DumpFaultKind), begin, end, per_device=FAULTS_PER_DEVICE)
    labels = [
        Label(each.device, each.component, each.kind, each.from_ms, each.to_ms)
        for each in dump_labels(fleet, faults)
    ]
    dumps: dict[tuple[str, int], DumpRow] = {}
    findings = [row for number in range(fleet.devices) for row in _findings(fleet, number, faults, dumps)]
    judged = judge(labels, dumps, findings)
    months = sum(row.collected_to_ms - row.collected_from_ms for row in dumps.values()) / MONTH_MS
    return Figures(Counter(label.kind for label in labels), judged.found, judged.false_alarms, months)


def _findings(
    fleet: DumpFleet, number: int, faults: list[DumpFault], dumps: dict[tuple[str, int], DumpRow]
) -> Iterator[FindingRow]:
    """What is found at one machine; puts its dumps into `dumps`."""
    name = fleet.device(number)
    instance = Logs()
    instance.setup({})
    instance.start(Device(tenant="benchmark", device=name))
    for made in Machine(fleet, number, faults).dumps(START_MS, START_MS + 2 * WEEK_MS):
        dumps[name, made.sequence] = DumpRow(name, made.sequence, made.from_ms, made.to_ms)
        for found in instance.process(_dump(made)):
            yield FindingRow(name, made.sequence, "logs", found.component, found.code, found.key)


def _dump(made: MadeDump) -> ArchiveDump:
    facts = DumpFacts(
        sequence=made.sequence,
        sha256=hashlib.sha256(made.archive).hexdigest(),
        collected_from_ms=made.from_ms,
        collected_to_ms=made.to_ms,
        application="cells",
        version="4.2.1",
    )
    return ArchiveDump(facts, Archive(BytesSource(made.archive)))
