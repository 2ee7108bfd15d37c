"""The traces of the documentation against those of a server of now."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.record_traces import AGAIN, PAGE, SHOWN, record
from tocsin.observability.spans import Trace, read_spans, traces_of


def shape(trace: Trace) -> list[tuple[str, int]]:
    return sorted((step.span.name, step.depth) for step in trace.steps)


def traces_in(path: Path) -> list[Trace]:
    return traces_of(read_spans(path.read_text().splitlines()))


@pytest.mark.long
def test_a_server_gives_the_traces_that_the_page_shows(tmp_path: Path) -> None:
    """The same calls, each inside the same; only the times are others."""
    recorded = traces_in(record(tmp_path))
    for name, what in SHOWN.items():
        (shown,) = traces_in(PAGE.parents[1] / "assets" / f"{name}.ndjson")
        now = [shape(trace) for trace in recorded if trace.title == what]
        # most of those after the first one that found something; how many there were before is the machine's
        assert now.count(shape(shown)) > AGAIN / 2, now[-1]
