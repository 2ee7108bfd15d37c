"""Simulated machines: when they send, what they write, and that each fault does what its label says."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.cli.app import main
from tocsin.client import find_dumps, read_delivery
from tocsin.dumps.archive import Archive
from tocsin.dumps.source import BytesSource, FileSource
from tocsin.errors import InvalidInputError
from tocsin.simulate.dumps.archive import Style, pack
from tocsin.simulate.dumps.component_log import ComponentLog
from tocsin.simulate.dumps.components import GRAMMARS
from tocsin.simulate.dumps.delivery import Disorder, plan_delivery
from tocsin.simulate.dumps.faults import (
    SIGHTS,
    DumpFault,
    DumpFaultKind,
    dump_labels,
    parse_dump_kinds,
    plan_dump_faults,
    startups_ms,
)
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.simulate.dumps.folder import write_dumps
from tocsin.simulate.dumps.machine import Machine
from tocsin.simulate.dumps.recorded import RecordedLines
from tocsin.simulate.dumps.schedule import HOUR_MS, Schedule, offset_ms, zone_of

START_MS = round(datetime(2026, 1, 5, tzinfo=UTC).timestamp() * 1000)  # a Monday
FLEET = DumpFleet(devices=3, seed=5)
FROM_MS, TO_MS = START_MS + 8 * HOUR_MS, START_MS + 12 * HOUR_MS


def fault(kind: DumpFaultKind, size: float = 1.0, component: str = "drive") -> DumpFault:
    """Device 1's, for four hours."""
    return DumpFault(kind=kind, device=1, component=component, from_ms=FROM_MS, to_ms=TO_MS, size=size)


def hours_of(faults: list[DumpFault], component: str = "drive") -> list[list[str]]:
    """What device 1's component writes in each of 16 hours, the eighth to the eleventh being the fault's."""
    grammar = next(each for each in GRAMMARS if each.component == component)
    log = ComponentLog(FLEET, 1, grammar, faults)
    stretches = [(START_MS + hour * HOUR_MS, START_MS + (hour + 1) * HOUR_MS) for hour in range(16)]
    return [log.advance(begin, end, startups_ms(FLEET, 1, begin, end)) for begin, end in stretches]


def count(lines: list[list[str]], text: str) -> int:
    """Lines of the fault's hours with the text."""
    return sum(text in line for hour in lines[8:12] for line in hour)


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kolkata", "America/New_York", "Australia/Sydney"])
@pytest.mark.parametrize("day", ["2026-01-05", "2026-03-29", "2026-10-25", "2026-03-08", "2026-04-05"])
def test_dumps_are_due_every_half_hour_by_day_and_every_six_hours_by_night(zone: str, day: str) -> None:
    """By the clock on the wall, on days too on which it is set."""
    begin = round(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)
    slots = Schedule().slots_ms(zone, begin - 24 * HOUR_MS, begin + 48 * HOUR_MS)
    local = [datetime.fromtimestamp(slot / 1000, UTC).astimezone(zone_of(zone)) for slot in slots]
    by_day = {(6 + minutes // 60, minutes % 60) for minutes in range(0, 12 * 60, 30)}
    whole = [at for at in local if at.date() == datetime.fromisoformat(day).date()]
    assert {(at.hour, at.minute) for at in whole} == by_day | {(0, 0), (18, 0)}
    assert len(whole) == 26
    assert slots == sorted(set(slots))


def test_a_machine_sends_within_its_slots_and_never_overtakes_itself() -> None:
    """Its own delay and the jitter stay below the time between two dumps."""
    sent = FLEET.sent_ms(2, START_MS, START_MS + 7 * 24 * HOUR_MS)
    gaps = [later - earlier for earlier, later in pairwise(sent)]
    assert len(sent) == pytest.approx(7 * 26, abs=2)
    assert min(gaps) > 28 * 60_000
    assert max(gaps) < 6 * HOUR_MS + 2 * 60_000


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    """Every file of the folder, however often; another seed gives others."""
    made = {}
    for name, seed in (("one", 3), ("two", 3), ("three", 4)):
        fleet = DumpFleet(devices=2, seed=seed, scale=0.2)
        planned = plan_dump_faults(fleet, list(DumpFaultKind), START_MS, START_MS + 20 * HOUR_MS)
        write_dumps(tmp_path / name, fleet, planned, START_MS, START_MS + 20 * HOUR_MS)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        made[name] = {path.relative_to(tmp_path / name): path.read_bytes() for path in files}
    assert made["one"] == made["two"]
    assert made["one"] != made["three"]


def test_the_folder_holds_what_it_lists_and_can_be_uploaded(tmp_path: Path) -> None:
    """Dumps are numbered from 1, all pass the strict reader, and every line is in one."""
    fleet = DumpFleet(devices=8, scale=0.1)
    rows = write_dumps(tmp_path / "d", fleet, [], START_MS, START_MS + 12 * HOUR_MS)
    listed = [json.loads(line) for line in (tmp_path / "d/dumps.ndjson").read_text().splitlines()]
    found = find_dumps(tmp_path / "d")
    assert sorted((each["device"], each["sequence"]) for each in listed) == [
        (dump.device, dump.sequence) for dump in found
    ]
    for row in rows:
        with FileSource(tmp_path / "d" / row.path) as source:
            archive = Archive(source)
            archive.prove()
            lines = sum(1 for member in archive.members for _ in member.lines())
        assert lines == row.lines
    assert {dump.sequence for dump in found if dump.device == "cell-0"} == set(
        range(1, 1 + sum(row.device == "cell-0" for row in rows))
    )
    manifest = json.loads((tmp_path / "d/manifest.json").read_text())
    assert (manifest["dumps"], manifest["lines"]) == (len(rows), sum(row.lines for row in rows))
    with pytest.raises(InvalidInputError, match="not empty"):
        write_dumps(tmp_path / "d", fleet, [], START_MS, START_MS + HOUR_MS)


@pytest.mark.parametrize("style", list(Style))
def test_every_style_of_archive_unpacks_to_its_members(style: Style) -> None:
    """Nested halves put together again, names as they were."""
    members = [("a/a.log", b"one\ntwo\nthree\n" * 100), ("b.log", b""), ("c.log", b"no end")]
    unpacked: dict[str, bytes] = {}
    for member in Archive(BytesSource(pack(members, style))).members:
        name = member.name.removesuffix(".1.gz")
        unpacked[name] = unpacked.get(name, b"") + b"".join(member.plain())
    assert unpacked == dict(members)


def test_machines_pack_in_every_style() -> None:
    """A fleet shows a reader all that it has to read."""
    fleet = DumpFleet(devices=100)
    assert {Machine(fleet, number).style for number in range(100)} == set(Style)


def test_lines_lie_within_their_dump_in_order_of_time() -> None:
    """What a state machine says after the dump was sent comes with the next one."""
    grammar = next(each for each in GRAMMARS if each.component == "power")
    log = ComponentLog(FLEET, 0, grammar, [])
    for begin in range(START_MS, START_MS + 12 * HOUR_MS, 30 * 60_000):
        stamps = [float(line.split()[0]) * 1000 for line in log.advance(begin, begin + 30 * 60_000, [])]
        assert stamps == sorted(stamps)
        assert all(begin <= stamp < begin + 30 * 60_000 for stamp in stamps)


def test_a_machine_works_by_its_own_clock() -> None:
    """In the early shift it writes several times as much as at night, and less on a Sunday."""
    lines = [sum(map(len, part)) for part in (hours_of([])[7:13], hours_of([])[0:4])]
    assert lines[0] / 6 > 2 * lines[1] / 4
    zone = FLEET.zone(FLEET.location(1))
    assert startups_ms(FLEET, 1, START_MS, START_MS + 24 * HOUR_MS) != []
    for at_ms in startups_ms(FLEET, 1, START_MS, START_MS + 7 * 24 * HOUR_MS):
        local = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at_ms + offset_ms(zone, at_ms))
        assert (local.hour in {6, 14}, local.minute < 3, local.weekday() != 6) == (True, True, True)


@pytest.mark.parametrize("kind", list(DumpFaultKind))
def test_a_fault_changes_nothing_outside_its_span_and_component(kind: DumpFaultKind) -> None:
    """Whatever is compared with the healthy run differs because of the fault, and for no other reason."""
    size = {DumpFaultKind.RESTART_LOOP: 5.0, DumpFaultKind.LEVEL_SHIFT: 3.0}.get(kind, 30.0)
    healthy, faulty = hours_of([]), hours_of([fault(kind, size)])
    assert healthy[:8] == faulty[:8]
    assert healthy[13:] == faulty[13:]  # runs that began in the last hour may end in the next one
    differs = healthy[8:12] != faulty[8:12]
    # the machine starts at 6 and 14 local: in its zone, that is outside of this span or not
    starts = bool(startups_ms(FLEET, 1, FROM_MS, TO_MS))
    assert differs == {DumpFaultKind.UNLOGGED: False, DumpFaultKind.STARTUP_ORDER: starts}.get(kind, True)


def test_a_fault_touches_its_machine_and_component_alone() -> None:
    """The other logs of the machine, and other machines, are as without it."""
    silent = fault(DumpFaultKind.COMPONENT_SILENT, component="door")
    for device, changed in ((1, {"door/door.log"}), (2, set())):
        healthy, faulty = (
            list(Machine(FLEET, device, each).dumps(START_MS, TO_MS)) for each in ([], [silent])
        )
        differ = {
            name
            for one, other in zip(healthy, faulty, strict=True)
            for name, text in _texts(one.archive).items()
            if _texts(other.archive)[name] != text
        }
        assert differ == changed


def _texts(archive: bytes) -> dict[str, bytes]:
    members = Archive(BytesSource(archive)).members
    return {member.name.removesuffix(".1.gz"): b"".join(member.plain()) for member in members}


def test_a_new_template_is_one_that_never_came() -> None:
    """As often as its size says."""
    assert count(hours_of([]), "overcurrent") == 0
    assert 80 <= count(hours_of([fault(DumpFaultKind.NEW_TEMPLATE, 30.0)]), "overcurrent") <= 160


def test_a_vanished_template_is_gone_and_the_others_come() -> None:
    """Only the belt is missing."""
    healthy, faulty = hours_of([]), hours_of([fault(DumpFaultKind.VANISHED_TEMPLATE)])
    assert count(healthy, "belt=") > 20
    assert count(faulty, "belt=") == 0
    assert count(healthy, "speed=") == count(faulty, "speed=")


def test_a_burst_multiplies_a_usual_warning() -> None:
    """No new line, but many more of it."""
    assert count(hours_of([fault(DumpFaultKind.RATE_BURST, 50.0)]), "following error") > 20 * max(
        1, count(hours_of([]), "following error")
    )


def test_a_drift_moves_one_number_to_its_size() -> None:
    """The temperature, by 15 deviations of 1.2 degrees at the end."""
    faulty = hours_of([fault(DumpFaultKind.PARAMETER_DRIFT, 15.0)])
    temps = [float(line.split("temp=")[1].split()[0]) for line in faulty[11] if "temp=" in line]
    assert sum(temps[-10:]) / 10 == pytest.approx(61.0 + 15 * 1.2, abs=2)


def test_a_silent_component_writes_nothing() -> None:
    """Its log is there and empty."""
    faulty = hours_of([fault(DumpFaultKind.COMPONENT_SILENT)])
    assert faulty[8:12] == [[], [], [], []]
    assert faulty[12]


@pytest.mark.parametrize("size", [0.2, 3.0])
def test_a_level_shift_multiplies_all_lines(size: float) -> None:
    """Up or down."""
    healthy, faulty = hours_of([]), hours_of([fault(DumpFaultKind.LEVEL_SHIFT, size)])
    ratio = sum(map(len, faulty[8:12])) / sum(map(len, healthy[8:12]))
    assert ratio == pytest.approx(size, rel=0.15)


def test_a_restart_loop_repeats_the_start_up() -> None:
    """Every five minutes, in the usual order."""
    assert count(hours_of([fault(DumpFaultKind.RESTART_LOOP, 5.0)]), "regulator closed") >= 48


def test_a_changed_start_up_has_the_same_lines_in_another_order() -> None:
    """Nothing to count, only to follow."""
    grammar = next(each for each in GRAMMARS if each.component == "drive")
    texts = []
    for faults in ([], [fault(DumpFaultKind.STARTUP_ORDER)]):
        log = ComponentLog(FLEET, 1, grammar, faults)
        lines = log.advance(FROM_MS, FROM_MS + HOUR_MS, [FROM_MS + 1000])
        words = ("encoder found", "parameters read")
        texts.append([line.split(";")[5] for line in lines if any(word in line for word in words)])
    assert texts[0] == texts[1][::-1]


@given(seed=st.integers(0, 500), per_device=st.floats(0.1, 5))
@settings(max_examples=15, deadline=None)
def test_planned_dump_faults_lie_within_the_span_and_apart(seed: int, per_device: float) -> None:
    """A label stands for one fault: two of a machine are two hours apart, and all are in the span."""
    fleet = DumpFleet(devices=5, seed=seed)
    end_ms = START_MS + 72 * HOUR_MS
    planned = plan_dump_faults(fleet, list(DumpFaultKind), START_MS, end_ms, per_device=per_device)
    assert all(START_MS <= each.from_ms < each.to_ms <= end_ms for each in planned)
    for device in range(fleet.devices):
        spans = sorted((each.from_ms, each.to_ms) for each in planned if each.device == device)
        assert all(first[1] + 2 * HOUR_MS <= second[0] for first, second in pairwise(spans))


def test_a_fleet_of_two_days_has_a_fault_of_every_kind_and_a_label_for_each() -> None:
    """Labels say what could see the fault; where no log shows it, nothing."""
    fleet = DumpFleet(devices=20)
    planned = plan_dump_faults(fleet, list(DumpFaultKind), START_MS + 24 * HOUR_MS, START_MS + 48 * HOUR_MS)
    labels = dump_labels(fleet, planned)
    assert Counter(label.kind for label in labels) == Counter(kind.value for kind in DumpFaultKind)
    assert {label.kind for label in labels if not label.seen_by} == {"unlogged"}
    assert all(label.text and "%s" not in label.text for label in labels)
    assert set(SIGHTS) == set(DumpFaultKind)


@given(shares=st.tuples(*[st.floats(0, 1)] * 4), seed=st.integers(0, 1000))
@settings(max_examples=50, deadline=None)
def test_a_delivery_sends_every_dump_that_is_not_lost(
    shares: tuple[float, float, float, float], seed: int
) -> None:
    """Lost ones never, the others at least once and at most twice, cut as often as three times."""
    reorder, repeat, cut, lose = shares
    dumps = [(f"cell-{device}", sequence) for device in range(3) for sequence in range(1, 30)]
    disorder = Disorder(reorder=reorder, repeat=repeat, cut=cut, lose=lose)
    plan, lost = plan_delivery(DumpFleet(seed=seed), dumps, disorder)
    times = Counter((each.device, each.sequence) for each in plan)
    assert set(times) | set(lost) == set(dumps)
    assert set(times) & set(lost) == set()
    assert all(count <= 2 for count in times.values())
    assert all(len(each.cuts) <= 3 and all(0 <= share <= 1 for share in each.cuts) for each in plan)


def test_an_orderly_delivery_is_in_order_and_each_disorder_shows() -> None:
    """Half of the dumps held back, repeated, cut and lost, one after the other."""
    dumps = [("cell-0", sequence) for sequence in range(1, 101)]
    orderly, _ = plan_delivery(DumpFleet(), dumps, Disorder())
    assert [(each.device, each.sequence, each.cuts) for each in orderly] == [(*dump, ()) for dump in dumps]
    mixed, _ = plan_delivery(DumpFleet(), dumps, Disorder(reorder=0.5))
    sequences = [each.sequence for each in mixed]
    assert sequences != sorted(sequences)
    assert sorted(sequences) == list(range(1, 101))
    assert 130 < len(plan_delivery(DumpFleet(), dumps, Disorder(repeat=0.5))[0]) < 170
    assert 30 < sum(bool(each.cuts) for each in plan_delivery(DumpFleet(), dumps, Disorder(cut=0.5))[0]) < 70
    assert 30 < len(plan_delivery(DumpFleet(), dumps, Disorder(lose=0.5))[1]) < 70
    with pytest.raises(InvalidInputError, match="cut is a share"):
        Disorder(cut=1.5)


def test_real_lines_are_mixed_in_as_they_are(tmp_path: Path) -> None:
    """In their own order and bytes, in a log of their own."""
    path = tmp_path / "real app.log"
    real = [b"line %d \xff\x1b[31m" % number for number in range(50)]
    path.write_bytes(b"\n".join(real))
    dump = next(Machine(FLEET, 1, recorded=RecordedLines(tmp_path)).dumps(START_MS, START_MS + 24 * HOUR_MS))
    [member] = [
        each for each in Archive(BytesSource(dump.archive)).members if each.name == "recorded/real_app.log"
    ]
    lines = list(member.lines())
    first = real.index(lines[0])
    assert lines == [real[(first + number) % 50] for number in range(len(lines))]
    path.write_bytes(b"")
    with pytest.raises(InvalidInputError, match="has no lines"):
        RecordedLines(tmp_path)
    with pytest.raises(InvalidInputError, match="can't be read"):
        RecordedLines(tmp_path / "nothing")


def test_the_command_writes_a_folder_and_says_what_is_in_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Options belong behind `dumps`; wrong ones are told in a line."""
    words = ["simulate", "dumps", "--devices", "2", "--hours", "8", "--scale", "0.1", "--faults", "none"]
    assert main([*words, "--out", str(tmp_path / "d"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["dumps"] == len(find_dumps(tmp_path / "d"))
    plan = [*words, "--reorder", "0.5", "--lose", "0.2", "--out", str(tmp_path / "p")]
    assert main(plan) == 0
    lost = json.loads((tmp_path / "p/manifest.json").read_text())["lost"]
    dumps = find_dumps(tmp_path / "p")
    assert len(read_delivery(tmp_path / "p/delivery.ndjson", dumps)) == len(dumps) - len(lost)
    assert main(["simulate", "--seed", "2", "dumps", "--out", str(tmp_path / "e")]) == 2
    assert "--seed stands before the command" in capsys.readouterr().err
    assert main([*words, "--out", str(tmp_path / "d")]) == 2
    assert "is not empty" in capsys.readouterr().err


def test_unknown_kinds_of_faults_are_named_with_those_that_exist() -> None:
    """The error says what may be written."""
    with pytest.raises(InvalidInputError, match=r"rate_burst.*all and none"):
        parse_dump_kinds("rate-burst")
    assert parse_dump_kinds("none") == ()
