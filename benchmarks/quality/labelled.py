"""Public data with labels: NAB and the two sensor networks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.quality.detection import SERIES, detected, episodes_of
from benchmarks.quality.matching import Found, Span, match
from benchmarks.quality.nab_score import corpus, nab_score, profiles

NAMES = {"standard": "nab_standard", "reward_low_FP_rate": "nab_low_fp", "reward_low_FN_rate": "nab_low_fn"}
SLACK_MS = 600_000


def nab(folder: Path) -> tuple[dict[str, float], Found]:
    """The three scores, that of the published Windowed Gaussian, and windows found by episode."""
    path = folder / "nab.parquet"
    table = pl.read_parquet(path)
    weighed, figures = corpus(table), {}
    with detected(path, SERIES) as (episodes, verdicts):
        scores = _scores(table, verdicts.collect())
    for profile in profiles(folder / "nab"):
        figures[NAMES[profile.name]] = round(nab_score(weighed, scores, profile)[0], 2)
        if profile.name == "standard":
            published = table["windowed_gaussian_score"].to_numpy()
            figures["nab_windowed_gaussian"] = round(nab_score(weighed, published, profile)[0], 2)
    inside = table.filter(pl.col("window") >= 0).with_columns(kind=pl.lit("window"), span=pl.col("window"))
    return figures, match(_spans(inside), episodes, 0)


def sensor_network(path: Path) -> tuple[Found, float]:
    """Labelled faults found by episode, and the months of all series together."""
    table = pl.read_parquet(path)
    runs = table.with_columns(
        span=(pl.col("label") != pl.col("label").shift(1, fill_value=0)).cum_sum().over("series"),
        kind=pl.col("series").str.split("/").list.first(),
    ).filter(pl.col("label") == 1)
    lengths = table.group_by("series").agg((pl.col("ts").max() - pl.col("ts").min()).alias("length"))
    months = lengths["length"].dt.total_seconds().sum() / (30 * 86_400)
    return match(_spans(runs), episodes_of(path, SERIES), SLACK_MS), float(months)


def _spans(rows: pl.DataFrame) -> list[Span]:
    ms = pl.col("ts").dt.epoch("ms")
    grouped = rows.group_by("series", "span", "kind").agg(ms.min().alias("from"), ms.max().alias("to"))
    return [Span(series, "", kind, from_ms, to_ms) for series, _, kind, from_ms, to_ms in grouped.iter_rows()]


def _scores(table: pl.DataFrame, verdicts: pl.DataFrame) -> np.ndarray:
    """The greater score of the detectors for each row of the table; NaN where none has one."""
    place = pl.int_range(pl.len()).over("series").alias("place")
    own = verdicts.select(pl.col("device").cast(pl.String).alias("series"), "detector", "score")
    numbered = own.with_columns(pl.int_range(pl.len()).over("series", "detector").alias("place"))
    best = numbered.group_by("series", "place").agg(pl.col("score").fill_nan(None).max())
    joined = table.select("series", place).join(
        best, on=["series", "place"], how="left", maintain_order="left"
    )
    return joined["score"].fill_null(float("nan")).to_numpy()
