"""Dictionaries of templates: taken over by control record, in force from a dump on, the same in a replay."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.log_kit import LEARNT, Rows, dump, found, learnt
from tocsin.control import (
    Control,
    DictionaryTaken,
    DumpOutcome,
    DumpReceived,
    GapGivenUp,
    encode_control,
)
from tocsin.dump_detectors.abstract import Device, Finding
from tocsin.dump_detectors.conformance import Sample
from tocsin.dump_detectors.instances import Instances
from tocsin.dump_detectors.limits import StepLimits
from tocsin.dump_detectors.reading import ArchiveDump
from tocsin.dump_detectors.stepping import step
from tocsin.dump_detectors.steps import FailureKind, StepFailed, Task
from tocsin.dumps.archive import Archive
from tocsin.errors import InvalidInputError
from tocsin.log.abstract import Record, RecordKind
from tocsin.log_detector.detector import Logs
from tocsin.processing.controls import Applied
from tocsin.processing.processor import History, process
from tocsin.processing.restoring import Restoration
from tocsin.processing.snapshots import occupied, snapshot_header, snapshot_shards
from tocsin.processing.state import PartitionState
from tocsin.templates.dictionary import Dictionary, dictionary_of, parse_dictionary

ONE, TWO = "1" * 64, "2" * 64


class NoHistory(History):
    """Nothing is corrected here."""

    def __call__(self, tenant: str, device: str, before_offset: int) -> object:  # type: ignore[override]
        raise AssertionError


def taken(sha256: str, application: str = "presses", tenant: str = "t") -> DictionaryTaken:
    return DictionaryTaken(tenant=tenant, application=application, version="v", sha256=sha256)


def came(sequence: int, device: str = "a", application: str = "presses") -> DumpReceived:
    return DumpReceived(
        tenant="t",
        device=device,
        sequence=sequence,
        sha256=f"{sequence:064}",
        size_bytes=1,
        outcome=DumpOutcome.ACCEPTED,
        application=application,
    )


def records(decisions: Sequence[Control]) -> list[Record]:
    return [
        Record(0, offset, 1, RecordKind.CONTROL, "t", 0, encode_control(each))
        for offset, each in enumerate(decisions)
    ]


def judged_by(
    decisions: Sequence[Control], cuts: Sequence[int] = (), resume_at: int | None = None
) -> list[tuple[str, int, str]]:
    """Device, number and dictionary of every dump set free, with the log cut there."""
    log, state = records(decisions), PartitionState(0)
    freed: list[DumpReceived] = []
    for first, last in zip([0, *cuts], [*cuts, len(log)], strict=True):
        output = process(log[first:last], state, NoHistory())
        freed += [each for moved in output.dumps for each in (*moved.ready, *moved.after_gap)]
        if resume_at == last:
            state = restored(state)
    return [(each.device, each.sequence, each.dictionary) for each in freed]


def restored(state: PartitionState) -> PartitionState:
    """As after a restart, from the checkpoint's chunks."""
    restoration = Restoration(0)
    restoration.add(snapshot_header(state, state.position))
    for chunk in snapshot_shards(state, np.flatnonzero(occupied(state))):
        restoration.add(chunk)
    again, _ = restoration.finish()
    again.position = state.position
    return again


def test_it_acts_from_the_next_dump_on_of_its_application_alone() -> None:
    """What came before is judged as it was, and other applications and tenants notice nothing."""
    decisions: list[Control] = [
        came(1), taken(ONE), taken(TWO, "doors"), taken(TWO, tenant="other"), came(2),
        came(1, "b", "doors"), came(1, "c", ""),
    ]  # fmt: skip
    assert judged_by(decisions) == [("a", 1, ""), ("a", 2, ONE), ("b", 1, TWO), ("c", 1, "")]


def test_a_dump_that_was_given_up_is_judged_by_what_acted_in_its_place() -> None:
    """However late it comes: dumps behind it, judged before, had the same."""
    given_up = GapGivenUp(tenant="t", device="a", epoch=0, from_sequence=2, to_sequence=2)
    decisions: list[Control] = [taken(ONE), came(1), came(3), given_up, taken(TWO), came(4), came(2)]
    assert judged_by(decisions) == [("a", 1, ONE), ("a", 3, ONE), ("a", 4, TWO), ("a", 2, ONE)]


@settings(deadline=None)
@given(data=st.data())
def test_wherever_the_log_is_cut_dumps_have_the_same_dictionary(data: st.DataObject) -> None:
    """Cuts, restarts and replays behind a checkpoint change nothing."""
    kinds = st.sampled_from(["a", "b", ONE, TWO])
    numbers = {"a": 0, "b": 0}
    decisions: list[Control] = []
    for kind in data.draw(st.lists(kinds, min_size=1, max_size=12)):
        if kind in numbers:
            numbers[kind] += 1
        decisions.append(came(numbers[kind], kind) if kind in numbers else taken(kind))
    whole = judged_by(decisions)
    cut = data.draw(st.integers(0, len(decisions)))
    assert judged_by(decisions, [cut]) == whole
    assert judged_by(decisions, [cut], resume_at=cut) == whole

    state = PartitionState(0)
    process(records(decisions), state, NoHistory())
    header = snapshot_header(state, 0)  # newer than what the shards have
    restoration = Restoration(0)
    restoration.add(header)
    again, below = restoration.finish()
    output = process(records(decisions), again, NoHistory(), Applied(below))
    freed = [each for moved in output.dumps for each in (*moved.ready, *moved.after_gap)]
    assert [(each.device, each.sequence, each.dictionary) for each in freed] == whole


def told(samples: Sequence[Sample], dictionary: Dictionary | None, state: bytes = b"") -> list[list[Finding]]:
    """What `logs` finds, with this dictionary in force."""
    instance = Logs()
    instance.setup({})
    instance.start(Device(tenant="t", device="d"))
    if state:
        instance.load(state, Logs.version)
    return [
        list(instance.process(ArchiveDump(each.facts, Archive(each.source), dictionary))) for each in samples
    ]


def blown(_: int, rows: Rows) -> Rows:
    return rows + [(at * 100_000, f"ERROR fuse {at} is blown") for at in range(20)]


def test_what_was_taught_is_new_on_no_device() -> None:
    """One that has learnt for long is told of nothing; another one still learns in peace."""
    taught = dictionary_of([("fuse <*> is blown", 0)], partial=True)
    sample = dump(LEARNT + 1, blown)
    assert [each.code for each in found([sample])[0]] == ["new_template"]
    assert told([sample], taught, learnt()) == [[]]
    assert told([dump(1), dump(2)], taught) == [[], []]


def test_with_a_whole_dictionary_a_new_device_is_watched_at_once() -> None:
    """What is not in it is new from the first dump on."""
    usual = ["cycle <*> done, force <*> kN", "heartbeat <*>", "waited <*> ms for the store", "door closed"]
    starts = ["power stage on", "encoder found", "parameters read", "regulator closed"]
    known = dictionary_of([(text, 1) for text in [*usual, *starts]])
    assert told([dump(1), dump(2)], known) == [[], []]
    ((finding,),) = told([dump(1, blown)], known)
    assert (finding.code, finding.evidence["template"]) == ("new_template", "fuse <*> is blown")


def test_a_dictionary_outlives_its_file() -> None:
    """Equal ones have equal bytes and versions; a partial one is another than a whole one."""
    known = dictionary_of([("a <*>", 3), ("b", 5)])
    taught = dictionary_of([("a <*>", 3), ("b", 5)], partial=True)
    assert parse_dictionary(known.to_json(), "it") == known
    assert parse_dictionary(taught.to_json(), "it") == taught
    assert known.version != taught.version
    assert known.with_templates(["b"]) is known
    assert {each.template for each in taught.with_templates(["c", "c"]).templates} == {"a <*>", "b", "c"}
    altered = known.to_json().replace(b'"b"', b'"d"')
    with pytest.raises(InvalidInputError, match="not those of its templates"):
        parse_dictionary(altered, "it")


def test_a_step_reads_the_dictionary_once_it_is_whole(tmp_path: Path) -> None:
    """By its hash; one that was altered, or is away, fails the step and is not taken for another."""
    known = dictionary_of([("a <*>", 3)]).to_json()
    sha256 = hashlib.sha256(known).hexdigest()
    sample = dump(1)
    archive = tmp_path / "dump.zip"
    archive.write_bytes(sample.source.read(0, sample.source.size))
    task = Task(
        tenant="t",
        device="d",
        detector="logs",
        archive=archive,
        dump=msgspec.structs.replace(sample.facts, dictionary=sha256),
        dictionary=tmp_path / "dictionary.json",
    )
    limits = StepLimits()
    for bytes_ in (None, known.replace(b"a <*>", b"b <*>")):
        if bytes_ is not None:
            (tmp_path / "dictionary.json").write_bytes(bytes_)
        failed = step(task, Instances(limits), limits)
        assert isinstance(failed, StepFailed)
        assert failed.kind is FailureKind.ARCHIVE
    (tmp_path / "dictionary.json").write_bytes(known)
    assert not isinstance(step(task, Instances(limits), limits), StepFailed)
