"""Spans in a file, and what is read from it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.trace.export import SimpleSpanProcessor

from tocsin.cli.app import main
from tocsin.config.errors import ConfigError
from tocsin.config.sections import ObservabilityConfig
from tocsin.errors import InvalidInputError
from tocsin.observability.flame_graph import flame_graph
from tocsin.observability.span_file import SpanFile, span_exporter, span_files
from tocsin.observability.spans import Trace, read_spans, taken_up, traces_of
from tocsin.observability.tracing import SpanName, Tracing, current_context

BEGAN = "2026-11-22T10:00:00"


def line(name: str, from_us: int, to_us: int, parent: str | None = None, /, **more: Any) -> str:
    """A span as OpenTelemetry writes it; its id is its name."""
    told: dict[str, Any] = {
        "name": name,
        "context": {"trace_id": more.pop("trace", "0x1"), "span_id": name, "trace_state": "[]"},
        "parent_id": parent,
        "start_time": f"{BEGAN}.{from_us:06}Z",
        "end_time": f"{BEGAN}.{to_us:06}Z",
        "status": {"status_code": "UNSET"},
        "attributes": {},
        "links": [],
    }
    return json.dumps(told | more)


def one(*lines: str) -> Trace:
    (found,) = traces_of(read_spans(lines))
    return found


def test_steps_stand_in_order_of_time_each_below_what_called_it() -> None:
    """Whatever the order in which the spans were written: what ends first is written first."""
    trace = one(line("c", 50, 70, "a"), line("b", 20, 30, "a"), line("a", 10, 40, "r"), line("r", 0, 100))
    told = [(step.number, step.span.name, step.depth, trace.start_us(step)) for step in trace.steps]
    assert told == [(1, "r", 0, 0), (2, "a", 1, 10), (3, "b", 2, 20), (4, "c", 2, 50)]


def test_time_of_its_own_is_what_no_call_inside_covers() -> None:
    """Calls that run at the same time are not taken away twice, and none beyond the end of what called it."""
    trace = one(line("r", 0, 100), line("a", 10, 40, "r"), line("b", 30, 50, "r"), line("c", 90, 130, "r"))
    assert trace.steps[0].own_us == 100 - 40 - 10


@settings(deadline=None)
@given(st.recursive(st.just([]), lambda inner: st.lists(inner, max_size=3), max_leaves=20))
def test_times_of_their_own_add_up_to_the_whole(shape: list[Any]) -> None:
    """When one call comes after another, every moment belongs to exactly one span."""
    lines: list[str] = []

    def grow(inner: list[Any], from_us: int, parent: str | None) -> int:
        name, now_us = str(len(lines)), from_us + 1
        lines.append("")
        for each in inner:
            now_us = grow(each, now_us, name) + 1
        lines[int(name)] = line(name, from_us, now_us, parent)
        return now_us

    grow(shape, 0, None)
    trace = one(*lines)
    assert sum(step.own_us for step in trace.steps) == trace.root.took_us


def test_a_trace_without_its_beginning_is_left_out() -> None:
    """It is not written yet, or went with the file before."""
    assert traces_of(read_spans([line("b", 20, 30, "gone"), line("c", 40, 50, "gone")])) == []


def test_a_round_that_took_up_what_a_request_handed_on_is_found() -> None:
    """By the link that its outermost span has."""
    link = {"context": {"trace_id": "0x1", "span_id": "append", "trace_state": "[]"}, "attributes": {}}
    lines = [line("r", 0, 9), line("append", 1, 2, "r"), line("round", 5, 8, trace="0x2", links=[link])]
    request, round_ = traces_of(read_spans([*lines, line("other", 6, 7, trace="0x3")]))[:2]
    assert taken_up(request, [request, round_]) == [round_]


@pytest.mark.parametrize(
    "bad",
    [
        "{",
        "[]",
        "null",
        '{"name": "x"}',
        line("a", 1, 2).replace(BEGAN, "then"),
        line("a", 1, 2).replace("0x1", "\0"),
        line("a", 1, 2)[:-9],
    ],
)
def test_a_line_that_is_no_span_is_named(bad: str) -> None:
    """With its number."""
    with pytest.raises(InvalidInputError, match="line 2 is no span"):
        list(read_spans([line("a", 0, 1), bad]))


def test_the_exporter_writes_what_is_read(tmp_path: Path) -> None:
    """Names, nesting, attributes, links and failures."""
    path = tmp_path / "spans.ndjson"
    tracing = Tracing(processors=[SimpleSpanProcessor(span_exporter(path, 1 << 20))])
    with tracing.request({}, {"http.request.method": "GET"}) as span:
        span.set_attribute("http.route", "/v1/x")
        handed_on = current_context()
        with pytest.raises(ZeroDivisionError), tracing.span(SpanName.PARSE):
            _ = 1 / 0
    tracing.job_over("log-writer", 0.0, [handed_on])
    tracing.close()
    request, job = traces_of(read_spans(path.read_text().splitlines()))
    assert (request.title, job.title) == ("GET /v1/x", "log-writer")
    assert [(step.span.name, step.span.failed) for step in request.steps] == [
        ("request", False),
        ("parse", True),
    ]
    assert taken_up(request, [request, job]) == [job]


def test_two_files_at_most(tmp_path: Path) -> None:
    """One that is full becomes that of before; no line is cut."""
    path = tmp_path / "spans.ndjson"
    tracing = Tracing(processors=[SimpleSpanProcessor(span_exporter(path, 2_000))])
    for _ in range(40):
        with tracing.job("ticks"):
            pass
    tracing.close()
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["spans.ndjson", "spans.ndjson.1"]
    for file in files:
        assert 0 < file.stat().st_size <= 2_000
        assert list(read_spans(file.read_text().splitlines()))


def test_a_line_that_was_torn_spoils_no_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a full disk or a power cut leaves it: the next start begins a new line, and the reader counts it."""
    path = tmp_path / "spans.ndjson"
    whole = line("r", 0, 9)
    path.write_bytes(f"{whole}\n{whole[:50]}\u00e9".encode()[:-1])
    file = SpanFile(path, 1 << 20)
    file.write(line("s", 0, 9, trace="0x2") + "\n")
    assert path.read_bytes().count(b"\n") == 3, "a span is there as soon as it is written"
    file.close()
    assert main(["trace", str(path), "--json"]) == 0
    told = capsys.readouterr()
    assert {row["what"] for row in json.loads(told.out)["traces"]} == {"r", "s"}
    assert "1 line, first 2" in told.err


def test_a_file_that_can_not_be_renamed_goes_on(tmp_path: Path) -> None:
    """The failure is the exporter's to tell; the next span is written when there is a way again."""
    path = tmp_path / "spans.ndjson"
    (tmp_path / "spans.ndjson.1").mkdir()
    file = SpanFile(path, 10)
    file.write("x" * 9 + "\n")
    with pytest.raises(OSError, match=r"spans\.ndjson"):
        file.write("y" * 9 + "\n")
    (tmp_path / "spans.ndjson.1").rmdir()
    file.write("y" * 9 + "\n")
    file.close()
    assert path.read_text() == "y" * 9 + "\n"


def test_files_of_spans_are_for_their_owner_alone(tmp_path: Path) -> None:
    """Where a request failed they have the error's text, which may name what a device sent."""
    before = os.umask(0o022)
    try:
        file = SpanFile(tmp_path / "spans.ndjson", 100)
        file.write("x" * 99 + "\n")
        file.write("y" * 99 + "\n")
        file.close()
    finally:
        os.umask(before)
    assert [each.stat().st_mode & 0o777 for each in tmp_path.iterdir()] == [0o600, 0o600]


def test_a_file_that_can_not_be_written_ends_the_start(tmp_path: Path) -> None:
    """With the setting's name, and not when the first span is there."""
    with pytest.raises(ConfigError, match=r"observability\.trace_file"):
        span_files(ObservabilityConfig(trace_file=tmp_path / "none" / "spans"))


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=30))
def test_a_picture_is_well_formed_whatever_a_span_is_called(name: str) -> None:
    """And says in words what it shows."""
    svg = flame_graph(one(line("r", 0, 100), line("a", 0, 100, "r", name=name), line("b", 99, 100, "r")))
    root = ET.fromstring(svg)  # noqa: S314 - our own
    assert [child.tag.rpartition("}")[2] for child in root][:2] == ["title", "desc"]


def test_a_request_is_chosen_by_name_and_time(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The newest unless told otherwise; without a name all are counted."""
    route = {"http.route": "/v1/x", "http.request.method": "GET", "http.response.status_code": 200}
    path = tmp_path / "spans.ndjson"
    took = {"0x1": (0, 50), "0x2": (100, 110), "0x3": (200, 230)}
    path.write_text(
        "".join(
            line("request", *times, trace=trace, attributes=route) + "\n" for trace, times in took.items()
        )
    )
    for which, expected in {"newest": "0x3", "fastest": "0x2", "median": "0x3", "slowest": "0x1"}.items():
        assert main(["trace", str(path), "GET /v1/x", "--which", which, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["id"] == expected
    assert main(["trace", str(path), "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["traces"]
    assert row == {"what": "GET /v1/x", "traces": 3, "median_us": 30, "slowest_us": 50}
    assert main(["trace", str(path), "GET /v1/y"]) == 2
    before = path.read_bytes()
    for option in ("--svg", "--spans"):
        for place in (path, tmp_path, tmp_path / "none" / "x"):
            assert main(["trace", str(path), "GET /v1/x", option, str(place)]) == 2
            assert "internal" not in capsys.readouterr().err
    assert path.read_bytes() == before
    assert main(["trace", str(tmp_path / "none")]) == 2
