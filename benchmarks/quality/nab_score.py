"""The scorer of the Numenta Anomaly Benchmark, written from its description.

Follows Lavin and Ahmad, "Evaluating real-time anomaly detection algorithms" (ICMLA 2015): a detection
inside a labelled window earns by a sigmoid of its position (early is best; the best of a window counts),
one outside costs by its distance past the window before it, a missed window costs its weight. The first
15 % of a file (at most 750 rows) are probationary. One threshold per profile for the whole corpus; 0 is
a detector that never speaks, 100 a perfect one.

    python -m benchmarks.quality.nab_score FOLDER     scores the published Windowed Gaussian
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

F64 = npt.NDArray[np.float64]
I64 = npt.NDArray[np.int64]

PROBATION_SHARE = 0.15
PROBATION_ROWS_MAX = 750


@dataclass(frozen=True, slots=True)
class Profile:
    """What a detection is worth; one per use case, as published with the data."""

    name: str
    true_positive: float
    false_negative: float
    false_positive: float


@dataclass(frozen=True, slots=True)
class Corpus:
    """All rows of all files that count: `worth` is the unweighted sigmoid, `window` -1 outside."""

    rows: I64
    worth: F64
    window: I64
    windows: int


def profiles(folder: Path) -> list[Profile]:
    """The three published profiles of `folder`/profiles.json."""
    published = json.loads((folder / "profiles.json").read_text())
    return [
        Profile(name, cost["tpWeight"], cost["fnWeight"], cost["fpWeight"])
        for name, cost in ((name, entry["CostMatrix"]) for name, entry in published.items())
    ]


def corpus(table: pl.DataFrame) -> Corpus:
    """Weigh the rows of the benchmark's table (columns `series` and `window`, in order of each file)."""
    rows, worths, windows = [], [], []
    known = 0
    for part in table.with_row_index("row").partition_by("series", maintain_order=True):
        window = part["window"].to_numpy().astype(np.int64)
        keep = np.arange(len(window)) >= min(int(PROBATION_SHARE * len(window)), PROBATION_ROWS_MAX)
        rows.append(part["row"].to_numpy().astype(np.int64)[keep])
        worths.append(_worth(window)[keep])
        windows.append(np.where(window >= 0, window + known, -1)[keep])
        known += int(window.max()) + 1
    return Corpus(np.concatenate(rows), np.concatenate(worths), np.concatenate(windows), known)


def nab_score(weighed: Corpus, scores: F64, profile: Profile) -> tuple[float, float]:
    """The normalised score of `scores` (one per row of the table) and the threshold that gives it."""
    score = np.nan_to_num(scores[weighed.rows], nan=-np.inf)
    gain = np.where(weighed.window < 0, weighed.worth * profile.false_positive, 0.0)
    order = np.argsort(-score, kind="stable")
    score, gain, window = score[order], gain[order], weighed.window[order]
    earned = weighed.worth[order] * (profile.true_positive / _sigmoid(np.array([-1.0]))[0])
    missed = 0
    for number in range(weighed.windows):
        at = np.flatnonzero(window == number)
        if len(at):
            best = np.maximum.accumulate(np.concatenate([[-profile.false_negative], earned[at]]))
            gain[at] = np.diff(best)
            missed += 1
    total = np.cumsum(gain) - missed * profile.false_negative
    ends = np.append(score[1:] != score[:-1], True) & np.isfinite(score)
    best_at = int(np.argmax(np.where(ends, total, -np.inf)))
    null, perfect = -profile.false_negative * weighed.windows, profile.true_positive * weighed.windows
    return float(100.0 * (total[best_at] - null) / (perfect - null)), float(score[best_at])


def _worth(window: I64) -> F64:
    """The sigmoid of each row: by its place in its window, or by its distance past the one before."""
    worth = np.full(len(window), -1.0)
    edges = [np.flatnonzero(window == number)[[0, -1]] for number in range(int(window.max()) + 1)]
    for number, (first, last) in enumerate(edges):
        width = last - first + 1
        end = edges[number + 1][0] if number + 1 < len(edges) else len(window)
        inside, past = np.arange(first, last + 1), np.arange(last + 1, end)
        worth[inside] = _sigmoid(-(last - inside + 1) / width)
        worth[past] = _sigmoid((past - last) / max(width - 1, 1))
    return worth


def _sigmoid(position: F64) -> F64:
    return np.where(position > 3.0, -1.0, 2.0 / (1.0 + np.exp(5.0 * np.minimum(position, 3.0))) - 1.0)


def main() -> None:
    """Score the detector whose published raw scores come with the data."""
    folder = Path(sys.argv[1])
    table = pl.read_parquet(folder / "nab.parquet")
    weighed = corpus(table)
    for profile in profiles(folder / "nab"):
        score, threshold = nab_score(weighed, table["windowed_gaussian_score"].to_numpy(), profile)
        print(f"{profile.name}: {score:.2f} at {threshold:.9f}")


if __name__ == "__main__":
    main()
