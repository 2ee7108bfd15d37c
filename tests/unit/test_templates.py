"""Log lines to templates: heads, masks, grouping, state."""

from __future__ import annotations

import csv
import json
from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tocsin.cli.app import main
from tocsin.errors import InvalidInputError
from tocsin.templates import miner as miner_module
from tocsin.templates._message_kernel import TEXT_BYTES_MAX, TOKENS_MAX, scan_message
from tocsin.templates._message_reference import masked
from tocsin.templates._mine_kernel import LINE_BYTES_MAX
from tocsin.templates.miner import Miner

_PIECES = st.sampled_from(
    [bytes([byte]) for byte in b" =:,()\"-/[}{.\\?|'\0\xff\t7"]
    + b"## .. ab Jan Mon null true ff deadbeef word GET a.b :80".split()
)
MESSAGES = st.one_of(st.lists(_PIECES, max_size=60).map(b"".join), st.binary(max_size=100)).map(
    lambda some: some.replace(b"\n", b"").strip(b"\r")
)


def scanned(message: bytes) -> tuple[bytes, list[bytes]]:
    """By the compiled form."""
    data = np.frombuffer(message, np.uint8)
    text, spans = np.zeros(TEXT_BYTES_MAX + 16, np.uint8), np.zeros((TOKENS_MAX, 2), np.int32)
    size, words = scan_message(data.ctypes.data, 0, len(data), text.ctypes.data, spans.ctypes.data)
    return text[:size].tobytes(), [message[start:end] for start, end in spans[:words].tolist()]


def found(*lines: bytes) -> list[str]:
    """The template of each line."""
    miner = Miner()
    shapes = [shape for mined in miner.mine([b"\n".join(lines)]) for shape in mined.shapes.tolist()]
    learnt = miner.learnt()
    return [learnt.texts[learnt.number[shape]] for shape in shapes]


@settings(deadline=None)
@given(MESSAGES)
@example(b"a" * 3000)
@example(b"1 a " * 400)
@example(b"x=" * 600)
@example(b"1:" * 2000)
@example(b"1::2:3abcd 1::2:3 abcd:1:2:x")
@example(b'"GET a" "GET " "GE a" pump.local:80 pump:80 .a:8 a.:8')
def test_the_compiled_mask_equals_the_plain_one(message: bytes) -> None:
    """Of any bytes, masked text and words are the same."""
    assert scanned(message) == masked(message)


@settings(deadline=None)
@given(st.lists(MESSAGES, max_size=12), st.lists(st.integers(0, 400), max_size=5))
def test_where_the_input_is_cut_changes_nothing(messages: list[bytes], cuts: list[int]) -> None:
    """Pieces of any length give the same shapes and the same state."""
    raw = b"\r\n".join([b"2026-01-05 06:00:01 INFO a: " + each for each in messages] + messages)
    places = [0, *sorted(min(cut, len(raw)) for cut in cuts), len(raw)]
    whole, cut = Miner(), Miner()
    one = [shape for mined in whole.mine([raw]) for shape in mined.shapes.tolist()]
    pieces = (raw[start:end] for start, end in pairwise(places))
    assert [shape for mined in cut.mine(pieces) for shape in mined.shapes.tolist()] == one
    assert cut.save() == whole.save()


@pytest.mark.parametrize("beyond", [b"", b"x", b"\r", b" " * 9 + b"cut off"])
def test_a_line_is_read_to_a_mebibyte_wherever_it_is_cut(beyond: bytes) -> None:
    """What comes after that is left out also where all of the line came at once."""
    raw = (
        b"2026-01-01T00:00:00Z INFO began" + b" " * (LINE_BYTES_MAX - 36) + b"end\r\r" + beyond + b"\nnext\n"
    )
    at_once, cut = Miner(), Miner()
    list(at_once.mine([raw]))
    list(cut.mine(raw[at : at + 50_000] for at in range(0, len(raw), 50_000)))
    assert at_once.save() == cut.save()
    assert "cut" not in str(at_once.dictionary())


@settings(deadline=None)
@given(st.lists(MESSAGES, max_size=12), st.integers(0, 12))
def test_a_saved_miner_goes_on_as_if_it_had_not_stopped(messages: list[bytes], stop: int) -> None:
    """The state is all that there is."""
    lines = [each + b"\n" for each in messages]
    whole, first = Miner(), Miner()
    list(whole.mine(lines))
    list(first.mine(lines[:stop]))
    second = Miner.load(first.save())
    list(second.mine(lines[stop:]))
    assert second.save() == whole.save()


@settings(deadline=None)
@given(st.lists(MESSAGES, max_size=12).flatmap(lambda some: st.tuples(st.just(some), st.permutations(some))))
def test_templates_do_not_depend_on_the_order_of_lines(both: tuple[list[bytes], list[bytes]]) -> None:
    """Two devices that saw the same lines in another order have the same dictionary."""
    one, other = (Miner(), Miner())
    for miner, lines in zip((one, other), both, strict=True):
        list(miner.mine([b"x " + line + b"\n" for line in lines]))
    assert one.dictionary() == other.dictionary()


NOON = int(datetime(2026, 1, 5, 12, 0, 1, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("line", "ms", "level", "component", "message"),
    [
        (b"2026-01-05T12:00:01.500Z ERROR [main] a.b.Run - no way", NOON + 500, 6, b"a.b.Run", b"no way"),
        (b"2026-01-05 13:00:01+01:00 WARN pump: no way", NOON, 5, b"pump", b"no way"),
        (b"<11>Jan  5 12:00:01 host pump[12]: no way", NOON, 6, b"pump", b"no way"),
        (b"01-05 12:00:01.250  17  23 E Pump: no way", NOON + 250, 6, b"Pump", b"no way"),
        (b"1767614401.123 pump - no way", NOON + 123, 0, b"pump", b"no way"),
        (b"1767614401123 no way", NOON + 123, 0, b"", b"no way"),
        (b"[Mon Jan 05 12:00:01 2026] [error] no way", NOON, 6, b"", b"no way"),
        (b"[2026-01-05T12:00:01Z] <door> no way", NOON, 0, b"door", b"no way"),
        (b"26/01/05 12:00:01 INFO a.B: no way", NOON, 3, b"a.B", b"no way"),
        (b"260105 120001 12 INFO a.B: no way", NOON, 3, b"a.B", b"no way"),
        (b"05.01.2026;12:00:01.007;DRV;W;0042;no way", NOON + 7, 5, b"DRV", b"no way"),
        (b"20260105-12:00:01:007|Pump|42|no way", NOON + 7, 0, b"Pump", b"no way"),
        (
            b"X 1767614401 2026.01.05 R1 2026-01-05-12.00.01.5 R1 RAS UNIT FATAL no way",
            NOON,
            7,
            b"UNIT",
            b"no way",
        ),
        (b"2026-01-05 12:00:01,000 INFO [on port 7] a.B: no way", NOON, 3, b"a.B", b"no way"),
        (b"2026-01-05 12:00:01, Warning      PUMP   no way", NOON, 5, b"PUMP", b"no way"),
        (b"[01.05 12:00:01] pump.exe *64 - no way", NOON, 0, b"pump.exe", b"no way"),
        (b"2026-01-05 12:00:01 INFO [work of " + b"7" * 200 + b"] a.B: no way", NOON, 3, b"a.B", b"no way"),
        (b"no way", 0, 0, b"", b"no way"),
    ],
)
def test_the_head_of_a_line_is_recognised(
    line: bytes, ms: int, level: int, component: bytes, message: bytes
) -> None:
    """Time, level, component and message of the usual formats."""
    mined = next(Miner(2026).mine([line]))
    time_ms, _, said, *places = mined.heads[0].tolist()
    assert (time_ms, said, line[places[0] : places[1]], line[places[2] : places[3]]) == (
        ms,
        level,
        component,
        message,
    )


def test_what_a_program_wrote_and_what_it_was_given_are_told_apart() -> None:
    """Values vary, words of the sentence do not, also when a value is a word."""
    users = [b"session opened for user " + name for name in (b"ann", b"bob", b"eve", b"joe", b"root")]
    assert set(found(*users, b"session closed for user ann", b"mode=fast rate=7")) == {
        "session opened for user <*>",
        "session closed for user ann",
        "mode=<*> rate=<*>",
    }


def test_the_verb_of_a_request_is_no_value() -> None:
    """What is asked for varies, what is done with it does not."""
    lines = [b'10.0.0.1 "%s /pump/%d" took %d' % (verb, n, n) for n in range(9) for verb in (b"GET", b"PUT")]
    assert set(found(*lines)) == {'<*> "GET <*>" took <*>', '<*> "PUT <*>" took <*>'}


def test_the_first_word_behind_values_is_one_of_the_sentence() -> None:
    """Lines that begin with a number are told apart by what stands behind it."""
    verbs = b"open close drain fill hold stop start".split()
    assert set(found(*[b"%d %s (valve %d)" % (n, verb, n) for n, verb in enumerate(verbs)])) == {
        f"<*> {verb.decode()} (valve <*>)" for verb in verbs
    }


def test_a_word_that_stands_everywhere_tells_nothing_about_the_next() -> None:
    """Behind `to` stand many different words, all of them part of their sentences."""
    lines = [
        b"%s to %s the pump" % pair
        for pair in zip(b"a b c d e f".split(), b"u v w x y z".split(), strict=True)
    ]
    both = [b"took 5 s to start the pump", b"took 6 s to stop the pump"]
    assert set(found(*lines, *both)) >= {f"took <*> s to {verb} the pump" for verb in ("start", "stop")}


@pytest.mark.parametrize(
    ("lines", "template"),
    [
        ([b"sent 967 bytes to b", b"sent 2842 bytes (2.8 KB) to b", b"sent 3 KB to b"], "sent <*> to b"),
        ([b"open for <1 sec", b"open for 00:12"], "open for <*>"),
        ([b"bound to 10.0.0.1, layer 3", b"bound to LOCAL(0), layer 9"], "bound to <*>, layer <*>"),
        ([b"reached a.local:80 now", b"reached 10.0.0.1:80 now"], "reached <*> now"),
        ([b"com.pump.%s: no time" % name for name in (b"Valve.day", b"Fan.day", b"Door")], "<*>: no time"),
    ],
)
def test_what_is_said_in_other_words_is_one_template(lines: list[bytes], template: str) -> None:
    """Units, bounds, sizes said twice, values with separators, qualified names."""
    assert set(found(*lines)) == {template}


def test_a_quantity_said_one_way_keeps_its_unit() -> None:
    """People read what a number counts."""
    assert found(b"took 12 ms", b"at 3.1 V", b"5 KB", b"7 s") == [
        "took <*> ms",
        "at <*> V",
        "<*> KB",
        "<*> s",
    ]


def test_a_protocol_beside_a_masked_one_is_no_value() -> None:
    """A word in capitals is not taken for a value because one of its kind has a digit."""
    assert found(b"open by HTTPS", b"open by SOCKS5") == ["open by HTTPS", "open by <*>"]


def test_lines_that_continue_belong_to_their_first() -> None:
    """A stack trace is no template of its own."""
    first = b"2026-01-05 06:00:01,123 ERROR pump: it broke"
    templates = found(first, b"java.lang.Error: no", b"\tat a.B(C.java:1)\r", first)
    assert templates[0] == templates[2] == templates[3] == "it broke"


def test_a_flood_of_shapes_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What finds no room shares one template, and what was known stays known."""
    monkeypatch.setattr(miner_module, "SHAPES_MAX", 8)
    lines = [b"word " * n for n in range(1, 20)]
    templates = found(*lines, lines[0])
    assert templates[-1] == templates[0] == "word"
    assert set(templates[8:-1]) == {"<*>"}


@pytest.mark.parametrize("change", [slice(0, 20), slice(0, -1), slice(1, None)])
def test_a_damaged_state_is_refused(change: slice) -> None:
    """Never guessed."""
    miner = Miner()
    list(miner.mine([b"one line\nanother 1"]))
    with pytest.raises(InvalidInputError):
        Miner.load(miner.save()[change])


def test_every_line_of_a_file_has_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Line, id, template and parameters; the dictionary is exported, and compared with another."""
    log, out, kept = tmp_path / "a.log", tmp_path / "a.csv", tmp_path / "a.json"
    log.write_bytes(b"2026-01-05 06:00:01 INFO volt: at 3.1 V\r\n  more\r\n\xff\r\n")
    assert main(["templates", str(log), "--out", str(out), "--export", str(kept)]) == 0
    rows = list(csv.DictReader(out.open(newline="")))
    assert [(row["line"], row["template"], json.loads(row["parameters"])) for row in rows] == [
        ("1", "at <*> V", ["3.1"]),
        ("2", "at <*> V", []),
        ("3", "\\xff", []),
    ]
    assert main(["templates", str(kept), "--compare", str(log)]) == 0
    log.write_bytes(b"at 5 V\nnew\n")
    capsys.readouterr()
    assert main(["templates", str(log), "--compare", str(kept), "--json"]) == 1
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert [each["template"] for each in told["new"]] == ["new"]
    assert [each["template"] for each in told["vanished"]] == ["\\xff"]


def test_rows_are_of_the_templates_that_were_counted(tmp_path: Path) -> None:
    """The second reading begins as the first did: lines before the first head are no continuation."""
    log, out, kept = tmp_path / "a.log", tmp_path / "a.csv", tmp_path / "a.json"
    heads = b"".join(b"2026-01-05 06:00:%02d INFO volt: at 3.%d V\n" % (n, n) for n in range(12))
    log.write_bytes(b"pump control begins\n" + heads + b"goes on\n")
    assert main(["templates", str(log), "--out", str(out), "--export", str(kept)]) == 0
    rows = Counter(row["template"] for row in csv.DictReader(out.open(newline="")))
    assert rows == {"pump control begins": 1, "at <*> V": 13}
    counted = {each["template"]: each["lines"] for each in json.loads(kept.read_bytes())["templates"]}
    assert counted == {"pump control begins": 1, "at <*> V": 12}


@pytest.mark.parametrize("option", ["--out", "--export"])
def test_the_log_is_not_written_over(option: str, tmp_path: Path) -> None:
    """Whatever its place is called."""
    log, other = tmp_path / "a.log", tmp_path / "b.log"
    log.write_bytes(b"one\n")
    other.symlink_to(log)
    assert main(["templates", str(log), option, str(other)]) == 2
    assert log.read_bytes() == b"one\n"


def test_heads_are_columns_too(tmp_path: Path) -> None:
    """Stamps in UTC, levels and components, read as a zone and a format say."""
    log, out = tmp_path / "a.log", tmp_path / "a.csv"
    log.write_bytes(b"2026-07-05 12:00:01 ; WARN ; pump 1 ; no way\n")
    options = ["--zone", "Europe/Berlin", "--format", "{time} ; {level} ; {component} ; {message}"]
    assert main(["templates", str(log), "--out", str(out), "--heads", *options]) == 0
    (row,) = csv.DictReader(out.open(newline=""))
    assert row["template"] == "no way"
    assert (row["stamp"], row["level"], row["component"]) == (
        "2026-07-05T10:00:01+00:00",
        "warning",
        "pump 1",
    )


@pytest.mark.parametrize(
    "option", [["--zone", "Nowhere/Atall"], ["--zone", "Europe"], ["--format", "{time}"]]
)
def test_a_wrong_option_is_refused(option: list[str], tmp_path: Path) -> None:
    """Before anything is read."""
    log = tmp_path / "a.log"
    log.write_bytes(b"one\n")
    assert main(["templates", str(log), "--dictionary", *option]) == 2
