"""Templates of raw lines against the corrected ones: which lines belong together.

A folder per source holds `*.log` and `*_structured_corrected.csv` with an EventTemplate by line. Grouping
accuracy is the share of lines whose group is exactly a true one (Zhu et al., ICSE-SEIP 2019); F1 is over
groups (FGA of Khan et al., ICSE 2022).
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Hashable, Sequence
from pathlib import Path

from tocsin.templates.miner import Miner


def grouping(folder: Path) -> dict[str, float]:
    """The means over the sources, one configuration for all."""
    sources = {}
    for truth in sorted(folder.glob("*/*_structured_corrected.csv")):
        log = next(truth.parent.glob("*.log"))
        sources[truth.parent.name] = scored(_found(log), _true(truth))
    print("\n### Templates\n\n| source | grouping accuracy | F1 of groups |\n|---|---|---|")
    for name, (accuracy, f1) in sources.items():
        print(f"| {name} | {accuracy:.4f} | {f1:.4f} |")
    means = [sum(each) / len(sources) for each in zip(*sources.values(), strict=True)]
    return dict(
        zip(("log_grouping_accuracy", "log_grouping_f1"), (round(each, 4) for each in means), strict=True)
    )


def scored(found: Sequence[Hashable], true: Sequence[Hashable]) -> tuple[float, float]:
    """Grouping accuracy and F1 of labels by line.

    >>> scored("aabc", "xxyy")
    (0.5, 0.4)
    """
    if len(found) != len(true):
        raise ValueError(f"{len(found)} lines have templates, {len(true)} have true ones")
    ours, theirs = _groups(found), _groups(true)
    right = ours & theirs
    return sum(map(len, right)) / len(found), 2 * len(right) / (len(ours) + len(theirs))


def _groups(labels: Sequence[Hashable]) -> set[frozenset[int]]:
    members: defaultdict[Hashable, set[int]] = defaultdict(set)
    for line, label in enumerate(labels):
        members[label].add(line)
    return {frozenset(each) for each in members.values()}


def _found(log: Path) -> list[str]:
    miner = Miner()
    shapes = [shape for mined in miner.mine([log.read_bytes()]) for shape in mined.shapes.tolist()]
    learnt = miner.learnt()
    return [learnt.ids[int(learnt.number[shape])] for shape in shapes]


def _true(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return [row["EventTemplate"] for row in csv.DictReader(file)]
