"""What the detector of logs finds, and what it says of it."""

from __future__ import annotations

import math
import random
import tracemalloc

import numpy as np
import pytest

from tests.log_kit import CONFIG, HOUR_MS, LEARNT, START_MS, Rows, dump, found, log, stamp, startup, usual
from tocsin.dump_detectors.abstract import Device
from tocsin.dump_detectors.conformance import Sample, made_sample, outcomes, shown
from tocsin.dump_detectors.reading import ArchiveDump
from tocsin.dumps.archive import Archive
from tocsin.log_detector import tally
from tocsin.log_detector.detector import Logs
from tocsin.log_detector.knowledge import COMPONENTS_MAX, ROWS_MAX
from tocsin.log_detector.logarithm import exp_of
from tocsin.log_detector.settings import LogSettings
from tocsin.log_detector.state import from_bytes
from tocsin.model import Severity

BEHIND = range(LEARNT + 1, LEARNT + 5)


def test_a_healthy_device_gives_no_findings() -> None:
    """A whole week of it after the one in which it was learnt."""
    assert not any(found([dump(number) for number in range(LEARNT + 1, LEARNT + 169)]))


def test_it_says_how_far_it_has_learnt() -> None:
    """Until it judges; with a dictionary that new templates are told already."""

    def note(hours: int, config: dict[str, object]) -> str:
        instance = Logs()
        instance.setup(config)
        instance.start(Device(tenant="t", device="d"))
        for number in range(1, hours + 1):
            sample = dump(number)
            list(instance.process(ArchiveDump(sample.facts, Archive(sample.source))))
        return instance.note()

    assert note(3, {}) == "learning, 3 of 168 h of logs seen"
    assert note(0, {"dictionary": ["x"]}).startswith("learning, 0 of 168 h of logs seen; templates outside")
    assert note(3, {"learn_h": 2}) == ""


def test_a_new_error_is_told_with_its_lines() -> None:
    """How often, since when never, and the lines themselves; critical, as it is an error."""

    def fails(_: int, rows: Rows) -> Rows:
        return rows + [(at * 100_000, f"ERROR axis X lost its reference at {at}.5 mm") for at in range(20)]

    *_, told = found([dump(LEARNT + 1, fails)])
    assert [(each.component, each.code, each.severity) for each in told] == [
        ("engine", "new_template", Severity.CRITICAL)
    ]
    reason = told[0].reason
    assert reason.startswith('"axis X lost its reference at <*> mm" came 20 times in 1.0 h, and never')
    assert [line.text[25:] for line in told[0].lines] == [
        "ERROR axis X lost its reference at 0.5 mm",
        "ERROR axis X lost its reference at 19.5 mm",
    ]


def test_a_line_that_comes_no_more_is_told_with_one_from_before() -> None:
    """The others go on."""

    def without(_: int, rows: Rows) -> Rows:
        return [row for row in rows if "heartbeat" not in row[1]]

    *_, told = found([*(dump(number, without) for number in BEHIND)])
    assert [each.code for each in told] == ["vanished_template"]
    assert '"heartbeat <*>" did not come in 1.0 h, where 4' in told[0].reason
    assert "heartbeat" in str(told[0].evidence["before"])


def test_a_warning_that_comes_in_a_burst_is_told() -> None:
    """With how often it came, what is usual, and lines."""

    def more(number: int, rows: Rows) -> Rows:
        rng = random.Random(-number)
        return rows + [(rng.randrange(HOUR_MS), f"WARN waited {n} ms for the store") for n in range(150)]

    *_, told = found([dump(LEARNT + 1, more)])
    assert {each.code for each in told} == {"template_rate"}
    assert told[0].key == "more"
    assert 150 <= int(told[0].evidence["count"]) <= 160
    assert all("waited" in line.text for line in told[0].lines)


def test_a_component_that_writes_nothing_is_told_once() -> None:
    """One finding for the component, not one for each of its templates."""
    *_, told = found([dump(LEARNT + 1, lambda _, rows: [])])
    assert [(each.component, each.code) for each in told] == [("engine", "component_silent")]


def test_a_component_that_writes_three_times_as_much_is_told_once() -> None:
    """Neither its templates nor its levels are told besides."""
    *_, told = found([dump(LEARNT + 1, lambda _, rows: rows * 3)])
    assert [(each.component, each.code, each.key) for each in told] == [("engine", "component_rate", "more")]


def test_a_start_in_another_order_is_told() -> None:
    """The pair that never was, and what is usual in its place."""

    def mixed(_: int, rows: Rows) -> Rows:
        kept = [row for row in rows if not any(row[1] == word for _, word in startup(0))]
        return kept + startup(1000, (0, 2, 1, 3))

    number = LEARNT + 4  # a dump that has a start
    *_, told = found([dump(LEARNT + 1), dump(number, mixed)])
    assert [each.code for each in told] == ["order_changed"]
    assert "which never was so in 4" in told[0].reason


def test_a_number_that_moves_is_told() -> None:
    """By its mean of the dump; single values are still among the usual ones."""

    def heavier(_: int, rows: Rows) -> Rows:
        return [(ms, text.replace("force 4", "force 5")) for ms, text in rows]

    *_, told = found([dump(LEARNT + 1, heavier)])
    assert [(each.component, each.code) for each in told] == [("engine", "number_shifted")]
    assert "where 4" in told[0].reason


@pytest.mark.parametrize("anew", [0, 10_000_000])
def test_a_counter_is_no_number_that_moves(anew: int) -> None:
    """A total that rises from dump to dump is left alone, wherever it begins anew, however far that is."""

    def counting(number: int, rows: Rows) -> Rows:
        total = anew if number > LEARNT else number * 1000
        return rows + [(n * 60_000, f"INFO {total + n} parts made") for n in range(50)]

    assert not any(shown(Logs, [dump(number, counting) for number in range(1, LEARNT + 4)]))


def test_what_lasts_becomes_the_normal() -> None:
    """Told for as long as it is held out, then it is what is usual."""

    def without(_: int, rows: Rows) -> Rows:
        return [row for row in rows if "heartbeat" not in row[1]]

    told = found([dump(number, without) for number in range(LEARNT + 1, LEARNT + 40)])
    assert all(told[2:20])
    assert not any(told[-6:])


def test_templates_of_the_dictionary_are_never_new() -> None:
    """And with one nothing has to be learnt before a template is told that is not in it."""
    lines = b"2026-01-05T00:00:01Z ERROR fuse 3 is blown\n" * 30
    sample = made_sample(1, {"engine.log": lines}, 1_767_571_200_000, 1_767_574_800_000)
    known = ["fuse <*> is blown"]
    assert shown(Logs, [sample], {"dictionary": known}) == [()]
    assert [each.code for each in shown(Logs, [sample], {"dictionary": ["fan <*>"]})[0]] == ["new_template"]


def test_random_bytes_are_told_apart_and_cost_no_memory() -> None:
    """What is no log is said to be none, and nothing of it is kept."""
    noise = random.Random(1).randbytes(1 << 20)
    *_, told = found([dump(LEARNT + 1, others={"core.bin": noise})])
    assert [(each.component, each.code) for each in told] == [("core", "no_log")]


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"learn": 1}, "learn"),
        ({"learn_h": -1}, "learn_h"),
        ({"false_alarms_per_month": "few"}, "few|float"),
        ({"timezone": "Europe/Nowhere"}, "timezone: 'Europe/Nowhere' is no time zone"),
        ({"timezones": {"press-3": "CEST"}}, "press-3: 'CEST' is no time zone"),
        ({"timezones": {"press-3": "../UTC"}}, "press-3: '../UTC' is no time zone"),
        ({"formats": {"presses": "{time} {text}"}}, "presses: .* ends with {message}"),
        ({"formats": {"": "{time}{message}"}}, "all others: .* need something between them"),
        ({"formats": {f"a{n}": "{message}" for n in range(10_001)}}, "at most 10000 names"),
    ],
)
def test_a_wrong_configuration_is_refused(config: dict[str, object], word: str) -> None:
    """Whoever configures it hears which key is wrong."""
    with pytest.raises(ValueError, match=word):
        Logs().setup(config)


def tallied(lines: bytes, from_ms: int, to_ms: int, rules: tally.Rules | None = None) -> tally.DumpTally:
    sample = made_sample(1, {"engine.log": lines}, from_ms, to_ms)
    return tally.tally(ArchiveDump(sample.facts, Archive(sample.source)), {}, 0, rules)


def hours_of(found: tally.DumpTally) -> list[int]:
    """Lines by the hour of the dump."""
    counts: list[int] = found.components["engine"].levels.sum(axis=0).tolist()
    return counts[: len(tally.spans(found))]


def test_a_declared_zone_holds_over_the_change_of_its_clocks() -> None:
    """Stamps on the wall that name no zone are of their hour, also in the night in which clocks go forward;
    found out by the time of collection, all of them would have one offset."""
    utc_ms = 1_774_738_800_000  # 2026-03-28T23:00Z; an hour has gone from 02:00 on
    walls = ["2026-03-29 00:30:00", "2026-03-29 01:30:00", "2026-03-29 03:30:00", "2026-03-29 04:30:00"]
    lines = "".join(f"{wall} INFO door closed\n" for wall in walls).encode()
    rules = tally.Rules(LogSettings(timezones={"press-3": "Europe/Berlin"}).zone_of("press-3"))
    declared = tallied(lines, utc_ms, utc_ms + 4 * HOUR_MS, rules)
    assert hours_of(declared) == [1, 1, 1, 1]
    assert (declared.offset_ms, declared.offsets) == (HOUR_MS, {})
    assert hours_of(tallied(lines, utc_ms, utc_ms + 4 * HOUR_MS)) != [1, 1, 1, 1]
    days = "".join(f"{wall[11:]} INFO door closed\n" for wall in walls[:2]).encode()
    assert hours_of(tallied(days, utc_ms, utc_ms + 2 * HOUR_MS, rules)) == [1, 1]
    stamped = b"2026-03-28T23:10:00Z INFO door closed\n2026-03-29T02:10:00+02:00 INFO door closed\n"
    assert hours_of(tallied(stamped, utc_ms, utc_ms + 2 * HOUR_MS, rules)) == [1, 1]


def test_a_zone_is_that_of_the_device() -> None:
    """One that is not named has that of all others, or is found out."""
    settings = LogSettings(timezone="UTC", timezones={"press-3": "Asia/Tokyo", "press-4": ""})
    assert [str(settings.zone_of(name)) for name in ("press-3", "press-4", "press-5")] == [
        "Asia/Tokyo",
        "None",
        "UTC",
    ]


def test_lines_of_a_declared_format_have_its_level() -> None:
    """Of its application alone; the format under an empty name is that of all others."""
    line = b"#E|engine|2026-01-05T00:10:00Z > fuse 3 is blown\n" * 30
    layout = "#{level}|{component}|{time} > {message}"
    for formats in ({"conformance": layout}, {"": layout}):
        sample = made_sample(1, {"engine.log": line}, START_MS, START_MS + HOUR_MS)
        ((told,),) = shown(Logs, [sample], {"formats": formats, "dictionary": ["fan <*>"]})
        assert (told.severity, told.evidence["template"]) == (Severity.CRITICAL, "fuse <*> is blown")
    ((plain,),) = shown(Logs, [sample], {"formats": {"doors": layout}, "dictionary": ["fan <*>"]})
    assert plain.evidence["template"] != "fuse <*> is blown"


def test_components_with_names_of_their_own_in_each_dump_stay_bounded() -> None:
    """The state can be read again, and holds no more than its bounds, whatever names members have."""
    samples = []
    for number in range(1, 16):
        text = b"".join(b"INFO part %s is %s\n" % (bytes([97 + n]), bytes([97 + number])) for n in range(20))
        members = {f"{number}-{n}/{n}.log": text + b"x%d\n" % n for n in range(40)}
        samples.append(made_sample(number, members, START_MS, START_MS + HOUR_MS))
    state = outcomes(Logs, samples, CONFIG)[-1].state
    known = from_bytes(state)
    assert len(known.rows) <= ROWS_MAX
    assert len({row.component for row in known.rows}) <= COMPONENTS_MAX


@pytest.mark.parametrize("read_bytes", [1000, 65_536])
def test_blocks_of_any_size_give_the_same(read_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Findings and saved bytes do not depend on how a log is cut while it is read."""
    samples = [dump(number) for number in range(1, 6)]
    whole = outcomes(Logs, samples, CONFIG)
    monkeypatch.setattr(tally, "READ_BYTES", read_bytes)
    assert outcomes(Logs, samples, CONFIG) == whole


def test_a_new_error_that_stops_leaves_no_trace() -> None:
    """What was told as new is not missed when it comes no more, a day later and a week later."""

    def fails(_: int, rows: Rows) -> Rows:
        return rows + [(at * 100_000, f"ERROR axis X lost its reference at {at}.5 mm") for at in range(20)]

    broken = [dump(number, fails) for number in range(LEARNT + 1, LEARNT + 7)]
    healthy = [dump(number) for number in range(LEARNT + 7, LEARNT + 200)]
    told = found([*broken, *healthy])
    assert all(told[:6])
    assert not any(told[6:])


def test_hours_of_a_long_dump_are_judged_each() -> None:
    """A component that is silent for two hours of six is told, with these hours alone."""
    number = LEARNT + 1
    from_ms = START_MS + number * HOUR_MS
    rows = [
        (hour * HOUR_MS + ms, text)
        for hour in range(6)
        if hour not in {2, 3}
        for ms, text in usual(number + hour, random.Random(number + hour))
    ]
    door = [(hour * HOUR_MS + at * 180_000, "INFO door closed") for hour in range(6) for at in range(20)]
    members = {"engine/engine.log": log(from_ms, rows), "door.log": log(from_ms, door)}
    (told,) = found([made_sample(number, members, from_ms, from_ms + 6 * HOUR_MS)])
    assert [(each.component, each.code) for each in told] == [("engine", "component_silent")]
    assert " did not come in 2.0 h, where 2" in told[0].reason


def undated(number: int, bad: bytes = b"", place: int = 0) -> Sample:
    """The hour `number` in a dump that does not say when it was collected, with one more line at a place."""
    rows = usual(number, random.Random(number))
    lines = log(START_MS + number * HOUR_MS, rows).splitlines(keepends=True)
    lines[place:place] = [bad] if bad else []
    return made_sample(number, {"engine.log": b"".join(lines)})


@pytest.mark.parametrize("stamp", ["2099-01-01T00:00:00Z", "1970-01-01T00:00:09Z", "2026-01-29T07:00:00Z"])
@pytest.mark.parametrize("place", [0, 50, 10_000])
def test_a_line_with_a_wrong_stamp_is_no_time_of_the_device(stamp: str, place: int) -> None:
    """First, within and last: nothing is found, and hours without logs are not taken for learnt ones."""
    bad = f"{stamp} INFO cycle 7 done, force 42.0 kN\n".encode()
    samples = [undated(n, bad if n in {5, 200} else b"", place) for n in range(1, 230)]
    detector = Logs()
    detector.setup({})
    detector.start(Device(tenant="t", device="d"))
    told = [list(detector.process(ArchiveDump(each.facts, Archive(each.source)))) for each in samples]
    known = from_bytes(detector.save())
    assert not any(told)
    assert 220 <= known.hours <= 230
    assert known.end_ms <= START_MS + 230 * HOUR_MS


@pytest.mark.parametrize("says_end", [False, True])
def test_a_rotated_log_is_of_all_its_hours(says_end: bool) -> None:
    """Its newest member comes first in the archive; nobody says when it begins."""
    first = LEARNT + 2
    names = ["engine.log.2", "engine.log.1", "engine.log"]
    begin = [START_MS + (first + place) * HOUR_MS for place in range(3)]
    logs = [
        log(from_ms, usual(first + place, random.Random(place))) + b" more\n"
        for place, from_ms in enumerate(begin)
    ]
    door = log(begin[0], [(at * 180_000, "INFO door closed") for at in range(60)])
    members = dict(reversed(list(zip(names, logs, strict=True)))) | {"door.log": door}
    end_ms = begin[-1] + HOUR_MS
    # with an end alone, which is not behind the end of the dump before, the begin can't be told from that
    before = [dump(first + 3)] if says_end else [dump(first - 1)]
    sample = made_sample(first + 4, members, None, end_ms if says_end else None)
    assert not found([*before, sample])[-1]
    whole = tally.tally(ArchiveDump(sample.facts, Archive(sample.source)), {}, end_ms)
    assert whole.base_ms == begin[0]
    assert [slot for slot, _, _ in tally.spans(whole)] == [0, 1, 2]


def test_a_dump_without_stamps_is_of_the_hour_in_which_it_ends() -> None:
    """If that is all that is said of it."""
    sample = made_sample(1, {"engine.log": b"INFO door closed\n" * 9}, None, START_MS + HOUR_MS // 2)
    whole = tally.tally(ArchiveDump(sample.facts, Archive(sample.source)), {}, 0)
    assert tally.spans(whole) == [(0, START_MS, 0.5)]


def test_clocks_of_components_that_come_no_more_are_forgotten() -> None:
    """And those of new ones are known, however many there were before."""
    samples = []
    for number in range(1, 6):
        from_ms = START_MS + number * HOUR_MS
        line = stamp(from_ms + HOUR_MS + 60_000).rstrip("Z").encode() + b" INFO on\n"
        members = {f"{number}-{n}/a.log": line for n in range(30)}
        samples.append(made_sample(number, members, from_ms, from_ms + HOUR_MS // 4))
    known = from_bytes(outcomes(Logs, samples, CONFIG)[-1].state)
    assert set(known.offsets) == {row.component for row in known.rows}
    assert {f"5-{n}" for n in range(30)} <= set(known.offsets)
    assert set(known.offsets.values()) == {HOUR_MS}


@pytest.mark.parametrize("begin", [0, 300_000, 900_000])
def test_of_a_line_too_long_the_same_is_told_wherever_it_begins(begin: int) -> None:
    """How much of it is seen depends on how it is cut."""
    text = (
        b"2026-01-05T00:00:01Z INFO on\n" * (begin // 29)
        + random.Random(1).randbytes(950_000).hex().encode()
        + b"\n"
    )
    (told,) = shown(Logs, [made_sample(1, {"a.log": text}, START_MS, START_MS + HOUR_MS)])
    assert [(each.code, each.evidence) for each in told] == [("long_line", {"bytes": 1 << 20})]


def test_powers_are_exact() -> None:
    """Verdicts are the same on every machine."""
    assert [int(power) for power in tally.POWERS.tolist()] == [10**n for n in range(17)]
    for value in np.linspace(-1.0, 0.0, 101).tolist():
        assert exp_of(value) == pytest.approx(math.exp(value), rel=4e-16)


def test_a_component_of_many_members_without_repetition_stays_bounded() -> None:
    """However many forms of lines its members have together, it is told that this is no log."""

    per_member = 16_384
    lines = np.tile(np.frombuffer(b"2026-01-05T00:00:01Z INFO ..... q\n", np.uint8), (24 * per_member, 1))
    lines[:, 26:31] = 97 + (np.arange(len(lines))[:, None] >> np.arange(0, 20, 4) & 15)
    members = {f"made/{m}.log": member.tobytes() for m, member in enumerate(np.split(lines, 24))}
    sample = made_sample(1, members, START_MS, START_MS + HOUR_MS)
    del lines, members
    shown(Logs, [dump(1)])
    tracemalloc.start()
    (told,) = shown(Logs, [sample])
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(each.component, each.code) for each in told] == [("made", "no_log")]
    assert f"of {24 * per_member} forms of lines" in told[0].reason
    assert peak_bytes < 128 << 20
