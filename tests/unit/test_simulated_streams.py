"""Simulated machines that stream their lines: the same lines as in their dumps, in the order of time."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.cli.app import main
from tocsin.dumps.archive import Archive
from tocsin.dumps.log_text import member_name
from tocsin.dumps.source import BytesSource
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.log_lines import parse_log_lines
from tocsin.simulate.dumps.faults import DumpFault, DumpFaultKind, plan_dump_faults
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.simulate.dumps.machine import Machine
from tocsin.simulate.dumps.schedule import HOUR_MS
from tocsin.simulate.dumps.stream import StreamedLine, streamed_lines
from tocsin.templates.stamped import stamped

START_MS = 1_767_571_200_000  # Monday, 2026-01-05


def faults_of(fleet: DumpFleet, to_ms: int) -> list[DumpFault]:
    return plan_dump_faults(fleet, tuple(DumpFaultKind), START_MS, to_ms, per_device=3.0)


def written(fleet: DumpFleet, faults: Sequence[DumpFault], to_ms: int) -> Iterator[tuple[str, str, str]]:
    """Device, component and text of each line in the dumps."""
    for number in range(fleet.devices):
        for dump in Machine(fleet, number, faults).dumps(START_MS, to_ms):
            for member in Archive(BytesSource(dump.archive)).members:
                component = member.name.partition("/")[0]
                for line in member.lines():
                    yield dump.device, component, line.decode()


def by_component(lines: Iterator[tuple[str, str, str]]) -> dict[tuple[str, str], list[str]]:
    found: dict[tuple[str, str], list[str]] = {}
    for device, component, text in lines:
        found.setdefault((device, component), []).append(text)
    return found


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(4, 14))
def test_the_stream_has_the_lines_of_the_dumps(seed: int, devices: int, hours: int) -> None:
    """Every line of each component once and in its order, with and without faults; ascending by time."""
    fleet, to_ms = DumpFleet(devices=devices, seed=seed, scale=0.3), START_MS + hours * HOUR_MS
    for faults in ([], faults_of(fleet, to_ms)):
        lines = list(streamed_lines(fleet, faults, START_MS, to_ms))
        sent = by_component((line.device, line.component, line.text) for line in lines)
        assert sent == by_component(written(fleet, faults, to_ms))
        assert [line.time for line in lines] == sorted(line.time for line in lines)
        assert all(START_MS <= line.time < to_ms for line in lines)


def test_the_server_keeps_every_line_as_it_was_written() -> None:
    """Each begins with a time of its own, in whatever format: nothing is put before it in a window's dump."""
    lines = list(streamed_lines(DumpFleet(devices=2, seed=3), [], START_MS, START_MS + 12 * HOUR_MS))
    assert len({line.component for line in lines}) == 6
    assert stamped([line.text.encode() for line in lines]).all()
    assert {member_name(line.component).partition("/")[0] for line in lines} == {
        line.component for line in lines
    }


def made(folder: Path, *more: str) -> bytes:
    """The file that the command writes."""
    out = folder / "lines.ndjson"
    words = ["simulate", "logs", "--out", str(out), "--devices", "2", "--hours", "30", "--scale", "0.2"]
    assert main([*words, *more]) == 0
    return out.read_bytes()


def test_a_seed_decides_every_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same options give the same bytes, which the server would take, and labels; another seed others."""
    first = made(tmp_path, "--faults", "new_template,parameter_drift", "--json")
    told = json.loads(capsys.readouterr().out)
    labels = (tmp_path / "lines.labels.ndjson").read_bytes()
    assert {json.loads(line)["kind"] for line in labels.splitlines()} == {"new_template", "parameter_drift"}
    assert (told["lines"], told["faults"]) == (first.count(b"\n"), 2)
    assert made(tmp_path, "--faults", "new_template,parameter_drift") == first
    assert (tmp_path / "lines.labels.ndjson").read_bytes() == labels
    assert made(tmp_path, "--seed", "2") != first
    parsed = parse_log_lines(first, ParseLimits())
    assert (parsed.errors, len(parsed.batch)) == ([], told["lines"])


def test_it_writes_to_one_place(tmp_path: Path) -> None:
    """A file or a server, not both and not neither."""
    assert main(["simulate", "logs"]) == 2
    assert main(["simulate", "logs", "--out", str(tmp_path / "x"), "--url", "http://127.0.0.1:1"]) == 2


@pytest.mark.parametrize("command", ["", "logs", "dumps"])
@pytest.mark.parametrize(
    "wrong",
    [
        ("--days", "nan"),
        ("--days", "1e300"),
        ("--days", "-1"),
        ("--start", "9999-12-31T00:00:00Z"),
        ("--start", "0001-01-01T00:00:00Z"),
        ("--faults-per-{}", "nan"),
        ("--faults-per-{}", "-1"),
        ("--fault-free-{}", "nan"),
        ("--fault-free-{}", "-1"),
    ],
)
def test_numbers_that_can_not_be_meant_are_told(
    command: str, wrong: tuple[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the option, not as an error of the program; nothing is written."""
    named = {"--faults-per-{}": ("month", "device"), "--fault-free-{}": ("days", "hours")}
    option = wrong[0].format(named[wrong[0]][bool(command)] if wrong[0] in named else "")
    words = [word for word in ("simulate", command) if word]
    assert main([*words, "--out", str(tmp_path / "x"), option, wrong[1]]) == 2
    assert f"--{option.strip('-')}" in (said := capsys.readouterr().err) or "years" in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("command", [[], ["logs"]])
def test_labels_do_not_take_the_place_of_what_they_label(command: list[str], tmp_path: Path) -> None:
    """A mistyped name costs nothing."""
    place = str(tmp_path / "x.ndjson")
    assert main(["simulate", *command, "--out", place, "--labels", place]) == 2
    assert list(tmp_path.iterdir()) == []


def test_lines_say_what_is_needed_alone() -> None:
    """As `POST /v1/logs` names it."""
    line = next(streamed_lines(DumpFleet(devices=1), [], START_MS, START_MS + 12 * HOUR_MS))
    assert isinstance(line, StreamedLine)
    assert StreamedLine.__struct_fields__ == (
        "device", "component", "time", "text", "application", "version",
    )  # fmt: skip
