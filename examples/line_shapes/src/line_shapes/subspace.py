"""What is expected of a dump, given what the rest of it shows: an incremental PCA, held against outliers.

Follows Xu, Huang, Fox, Patterson and Jordan, "Detecting large-scale system problems by mining console logs"
(SOSP 2009): counts of lines go up and down together with the work that a machine does, so a few directions
explain most of their variation, and a dump is strange by what these can't explain. Here vectors are
2·sqrt(lines an hour): a Poisson count over h hours then varies by 1/h, whatever its mean.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from sklearn.decomposition import IncrementalPCA

from line_shapes.knowledge import BATCH, PARTS, Floats, Knowledge

_REMEMBERED_DUMPS: Final = 400
_HUBER: Final = 2.0
_FAR: Final = 3.0
_STEPS: Final = 8
_RIDGE: Final = 1e-6
_SHAPES_A_PART: Final = 4
_NOTHING: Final = 1e-9


def spread(knowledge: Knowledge, hours: float) -> Floats:
    """Standard deviation of each column around what is expected."""
    found: Floats = np.sqrt(1.0 / hours + np.maximum(knowledge.excess, 0.0))
    return found


def expected(knowledge: Knowledge, vector: Floats, hours: float) -> Floats:
    """What each column should be: the directions fitted to the columns, by those that can be explained.

    A strange column would draw a fit of least squares towards itself and make others look strange. So the
    fit is Huber's, from two starts (the mean, and least squares), and the one that leaves fewer strange
    columns is taken: a whole component that is silent must not look like a machine that rests.
    """
    scale = spread(knowledge, hours)
    off = vector - knowledge.mean
    # as many directions as shapes would explain any dump
    parts = knowledge.parts[: max(1, min(PARTS, len(knowledge.columns) // _SHAPES_A_PART))]
    fits = [_fit(parts, off, scale, start) for start in (np.zeros(len(off)), parts.T @ (parts @ off))]
    left = [float(np.sum(np.minimum(((off - fit) / scale) ** 2, _FAR**2))) for fit in fits]
    best = fits[0] if left[0] <= left[1] else fits[1]
    found: Floats = np.maximum(knowledge.mean + best, 0.0)
    return found


def _fit(parts: Floats, off: Floats, scale: Floats, start: Floats) -> Floats:
    """Least squares by turns, each column weighing less the farther it lay from the fit before."""
    fit = start
    for _ in range(_STEPS):
        away = np.abs(off - fit) / scale
        weights = np.minimum(1.0, _HUBER / np.maximum(away, _HUBER)) / scale**2
        weighted = parts * weights
        amounts = np.linalg.solve(weighted @ parts.T + _RIDGE * np.eye(len(parts)), weighted @ off)
        fit = parts.T @ amounts
    return fit


def learn(knowledge: Knowledge, vector: Floats) -> None:
    """Add a vector; every eighth time the PCA takes in the last eight, and forgets slowly."""
    knowledge.waiting = np.vstack([knowledge.waiting, vector])
    if len(knowledge.waiting) < BATCH:
        return
    model = _model(knowledge)
    model.partial_fit(knowledge.waiting)
    knowledge.waiting = knowledge.waiting[:0]
    seen = int(model.n_samples_seen_)
    kept = min(seen, _REMEMBERED_DUMPS)
    knowledge.learnt = kept
    knowledge.mean, knowledge.variance = model.mean_, model.var_
    # products of a matrix in another order of memory differ in the last bit, and saved ones are in this order
    parts = np.ascontiguousarray(model.components_)
    # a direction without variation may point anywhere, to columns that are not in use too
    parts[model.singular_values_ <= _NOTHING * model.singular_values_[0]] = 0.0
    parts[:, len(knowledge.columns) :] = 0.0
    knowledge.parts = parts
    knowledge.strengths = model.singular_values_ * math.sqrt(kept / seen)


def _model(knowledge: Knowledge) -> IncrementalPCA:
    """As scikit-learn would have it after the dumps learnt so far."""
    model = IncrementalPCA(n_components=PARTS)
    if knowledge.learnt:
        model.n_components_ = PARTS
        model.n_features_in_ = len(knowledge.mean)
        model.n_samples_seen_ = np.int64(knowledge.learnt)
        model.mean_, model.var_ = knowledge.mean, knowledge.variance
        model.components_, model.singular_values_ = knowledge.parts, knowledge.strengths
    return model
