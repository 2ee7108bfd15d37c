"""What the detector of logs says of a device whose data are no log, or too many, from its first dump on."""

from __future__ import annotations

import random
import zlib

import pytest

from tests.log_kit import HOUR_MS, LEARNT, START_MS, dump, found
from tocsin.dump_detectors.abstract import Finding
from tocsin.dump_detectors.conformance import Sample, made_sample, shown
from tocsin.log_detector.detector import Logs
from tocsin.log_detector.knowledge import ROWS_MAX, SHAPES_MAX
from tocsin.templates._mine_kernel import LINE_BYTES_MAX


def sample(number: int, members: dict[str, bytes], hours: int = 1) -> Sample:
    from_ms = START_MS + number * HOUR_MS
    return made_sample(number, members, from_ms, from_ms + hours * HOUR_MS)


def codes(findings: tuple[Finding, ...]) -> list[tuple[str, str]]:
    return [(each.component, each.code) for each in findings]


def exclaimed(numbers: range) -> bytes:
    """A line each, of a template each: they differ in what stands between words, which no value does."""
    rows = ("".join("go" + "?!"[number >> bit & 1] + " " for bit in range(10)) for number in numbers)
    return "".join(f"2026-01-05T00:00:01Z INFO {row}\n" for row in rows).encode()


NOISE = random.Random(1).randbytes(4096)


@pytest.mark.parametrize(
    "member",
    [
        NOISE,
        zlib.compress(NOISE.hex().encode()),
        b"\0" * 5000,
        "2026-01-05 INFO läuft\n".encode("utf-16") * 20,
    ],
    ids=["random", "packed", "empty", "utf-16"],
)
def test_bytes_that_are_no_text_are_told_of_a_small_member_too(member: bytes) -> None:
    """Long before there are more forms of lines than a log has; once, and with nothing besides."""
    assert codes(shown(Logs, [sample(1, {"core.bin": member})])[0]) == [("core", "no_log")]


@pytest.mark.parametrize(
    "line",
    [
        b"\x1b[32mINFO\x1b[0m \x1b[1mdoor\x1b[0m closed\n",
        "INFO Tür geschlossen, Öl und Fett prüfen\n".encode("latin-1"),
        "INFO ドアが閉まりました\n".encode(),
        b"INFO\tdoor\tclosed\r\n",
    ],
    ids=["colours", "latin-1", "utf-8", "tabs"],
)
def test_what_people_can_read_is_text(line: bytes) -> None:
    """Whatever its letters are encoded in."""
    assert shown(Logs, [sample(1, {"door.log": line * 400})]) == [()]


def test_a_line_without_an_end_that_is_no_text_is_told_once() -> None:
    """That it is too long says nothing beyond that it is no line."""
    member = bytes(random.Random(1).choices(range(1, 9), k=LINE_BYTES_MAX + 10))
    assert codes(shown(Logs, [sample(1, {"core.bin": member})])[0]) == [("core", "no_log")]


def test_of_few_bytes_nothing_is_said() -> None:
    """A control byte among a handful is chance."""
    assert shown(Logs, [sample(1, {"core.bin": b"\1\2\3 ok\n"})]) == [()]


def test_a_table_that_is_full_of_what_is_in_use_is_told() -> None:
    """How much was forgotten that came within the last week; no sooner, and not once it fits."""
    per_dump = 150
    told = shown(
        Logs,
        [sample(n, {"a.log": exclaimed(range(per_dump * n, per_dump * n + per_dump))}) for n in range(5)],
    )
    assert [("", "table_full") in codes(each) for each in told] == [False, False, False, True, True]
    (full,) = [each for each in told[3] if each.code == "table_full"]
    assert full.evidence == {
        "templates": ROWS_MAX,
        "forgotten": 4 * per_dump + 3 - ROWS_MAX,
        "unborn": 0,
        "shapes": 0,
    }
    assert full.reason.startswith(
        "the table of templates is full: 91 templates and 0 forms of lines that came"
    )


@pytest.mark.parametrize(("hours", "told"), [(180, False), (160, True)])
def test_what_came_no_more_for_a_week_makes_room_without_a_word(hours: int, told: bool) -> None:
    """A device that changes slowly has a full table for ever, and nothing is wrong with it."""
    old = [sample(n, {"a.log": exclaimed(range(150 * n, 150 * n + 150))}) for n in range(3)]
    week = sample(3, {"a.log": exclaimed(range(2))}, hours=hours)
    new = sample(190, {"a.log": exclaimed(range(450, 600))})
    found = [each.code for findings in shown(Logs, [*old, week, new]) for each in findings]
    assert ("table_full" in found) is told


def test_templates_of_components_that_find_no_room_are_told() -> None:
    """A component that comes no more is forgotten as a whole, when there are too many of them."""
    dumps = [{f"c{n}.log": b"INFO all is well\n" for n in range(30 * k, 30 * k + 30)} for k in range(3)]
    told = shown(Logs, [sample(k, members) for k, members in enumerate(dumps)])
    assert [each.evidence["forgotten"] for each in told[2] if each.code == "table_full"] == [26]
    assert not told[0]
    assert not told[1]


def test_forms_of_lines_that_find_no_room_are_told() -> None:
    """Many forms may be of few templates, whose rows have room."""

    def lines(component: int) -> bytes:
        words = ("".join("ghijklmnop"[int(digit)] for digit in f"{n:03}") for n in range(250))
        return "".join(f"INFO c{'abcdefghij'[component]} took {word} away\n" for word in words).encode()

    (told,) = shown(Logs, [sample(1, {f"{n}.log": lines(n) for n in range(10)})])
    (full,) = [each for each in told if each.code == "table_full"]
    assert (full.evidence["shapes"], full.evidence["forgotten"]) == (2_500 - SHAPES_MAX, 0)


def test_more_new_templates_than_a_dump_may_bring_are_told() -> None:
    """Of several components, none of which has more than a log has."""
    members = {f"{n}.log": exclaimed(range(150 * n, 150 * n + 150)) for n in range(2)}
    (full,) = [each for each in shown(Logs, [sample(1, members)])[0] if each.code == "table_full"]
    assert full.evidence["unborn"] == 108


def test_noise_beside_usual_logs_leaves_what_is_said_of_them_as_it_is() -> None:
    """A fault of another component is told in the same words; the noise is told besides."""

    def fails(_: int, rows: list[tuple[int, str]]) -> list[tuple[int, str]]:
        return rows + [(at * 100_000, f"ERROR axis X lost its reference at {at}.5 mm") for at in range(20)]

    calm = found([dump(LEARNT + 1, fails), dump(LEARNT + 2)])
    noisy = found([dump(LEARNT + 1, fails, {"core.bin": NOISE}), dump(LEARNT + 2, None, {"core.bin": NOISE})])
    assert codes(noisy[0]) == [("core", "no_log"), *codes(calm[0])]
    assert noisy[0][1:] == calm[0]
    assert codes(noisy[1]) == [("core", "no_log"), *codes(calm[1])]
