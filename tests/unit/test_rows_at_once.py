"""Lists read as one text are what was written, or the plain way has the word."""

from __future__ import annotations

import math
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.inbox_kit import NOW_MS, WINDOWS, episode, rows
from tocsin.directory import cache
from tocsin.directory.abstract import Entry
from tocsin.directory.cache import DirectoryCache
from tocsin.errors import CorruptError
from tocsin.inbox.abstract import AnomalyQuery
from tocsin.inbox.embedded import EmbeddedInbox
from tocsin.inbox.rows import QUERIES

UNRESOLVED = AnomalyQuery("a", unresolved=True)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
NO_PLAIN_WAY = "SELECT the plain way was taken"
GUID = "6f9619ff-8b86-4011-b42d-00c04fc964ff"


def _head(*columns: str | bytes) -> bytes:
    """What SQLite writes of short columns before a row: kind and length in one number."""
    return bytes(2 * len(each) + (13 if isinstance(each, str) else 12) for each in columns)


@settings(max_examples=40)
@given(score=st.floats(allow_nan=False, allow_infinity=False), text=TEXTS, device=TEXTS)
@example(score=-0.0, text="0", device="0")
@example(score=5e-324, text="\0", device="a\0b")
def test_any_text_and_number_survives(
    tmp_path_factory: pytest.TempPathFactory, score: float, text: str, device: str
) -> None:
    """What an anomaly of any device says, and its score to the last bit; the plain way is not needed."""
    inbox = EmbeddedInbox(tmp_path_factory.mktemp("texts") / "inbox.db", WINDOWS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(QUERIES, "unresolved_of_devices", NO_PLAIN_WAY)
        told = episode("e1", 0, device=device, parameter=text, explanation=text, score=score)
        inbox.fold(rows(told), NOW_MS)
        (found,) = inbox.anomalies_of([device], UNRESOLVED)
    assert found == inbox.anomaly("a", found.id)
    assert found.peak_score.hex() == (score + 0.0).hex()  # SQLite keeps no sign of zero
    inbox.close()


def test_an_infinite_score_takes_the_plain_way(tmp_path: Path) -> None:
    """JSON has no such number: the list is whole all the same."""
    inbox = EmbeddedInbox(tmp_path / "inbox.db", WINDOWS)
    inbox.fold(rows(episode("e1", 0, score=math.inf), episode("e2", 0, device="pump-8")), NOW_MS)
    found = inbox.anomalies_of(["pump-7", "pump-8"], UNRESOLVED)
    assert {each.device: each.peak_score for each in found} == {"pump-7": math.inf, "pump-8": 2.0}
    inbox.close()


@pytest.mark.parametrize("altered", [b"is higk", b"is hi\xb7h"])
def test_an_altered_anomaly_is_in_no_list(tmp_path: Path, altered: bytes) -> None:
    """Neither one with another letter nor one that is no UTF-8 any more."""
    path = tmp_path / "inbox.db"
    inbox = EmbeddedInbox(path, WINDOWS)
    inbox.fold(rows(episode("e1", 0)), NOW_MS)
    inbox.close()
    path.write_bytes(path.read_bytes().replace(b"is high", altered))
    inbox = EmbeddedInbox(path, WINDOWS)
    with pytest.raises(CorruptError, match="inbox"):
        inbox.anomalies_of(["pump-7"], UNRESOLVED)
    inbox.close()


def test_a_text_that_became_bytes_is_damage(tmp_path: Path) -> None:
    """One bit of a row's head makes bytes of a text, which JSON does not have."""
    path = tmp_path / "inbox.db"
    inbox = EmbeddedInbox(path, WINDOWS)
    inbox.fold(rows(episode("e1", 0)), NOW_MS)
    inbox.close()
    _alter(path, _head("a", "hvac", "pump-7"), _head("a", b"hvac", "pump-7"))
    inbox = EmbeddedInbox(path, WINDOWS)
    with pytest.raises(CorruptError, match="does not match its hash"):
        inbox.anomalies_of(["pump-7"], UNRESOLVED)
    inbox.close()


@settings(max_examples=40)
@given(devices=st.sets(TEXTS, min_size=1, max_size=5), location=TEXTS)
def test_any_name_of_a_device_survives(
    tmp_path_factory: pytest.TempPathFactory, devices: set[str], location: str
) -> None:
    """A technician's devices by name, with their location."""
    path = tmp_path_factory.mktemp("names") / "directory.db"
    known = DirectoryCache(path, rows_max=10)
    known.keep_list(GUID, [Entry(each, GUID, location) for each in devices], 1, 2, 2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(cache._QUERIES, "devices_of", NO_PLAIN_WAY)
        found = known.devices_of(GUID, "", 0, 10)
    assert [each.id for each in found] == sorted(devices, key=str.encode)
    assert {(each.technician, each.location, each.as_of_ms) for each in found} == {(GUID, location, 1)}
    known.close()


def test_a_long_list_takes_little_more_memory_than_row_by_row(tmp_path: Path) -> None:
    """Names of wide letters are not held again and again."""
    known = DirectoryCache(tmp_path / "directory.db", rows_max=2_000)
    known.keep_list(GUID, [Entry(f"{i}" + "😀" * 100, GUID, "hall") for i in range(2_000)], 1, 2, 2)
    at_once = _peak_bytes(lambda: known.devices_of(GUID, "", 0, 2_000))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(cache._QUERIES, "devices_of_at_once", "SELECT 'no rows'")
        row_by_row = _peak_bytes(lambda: known.devices_of(GUID, "", 0, 2_000))
    assert at_once < 2 * row_by_row
    known.close()


@pytest.mark.parametrize(
    ("stored", "became"),
    [
        (b"hall of pumps", b"hall of pomps"),
        (_head("pump-7", GUID, "hall of pumps"), _head("pump-7", GUID, b"hall of pumps")),
    ],
    ids=["another text", "bytes"],
)
def test_an_altered_device_is_on_no_list(tmp_path: Path, stored: bytes, became: bytes) -> None:
    """It is damaged, not somewhere else."""
    path = tmp_path / "directory.db"
    known = DirectoryCache(path, rows_max=10)
    known.keep_list(GUID, [Entry("pump-7", GUID, "hall of pumps")], 1, 2, 2)
    known.close()
    _alter(path, stored, became)
    known = DirectoryCache(path, rows_max=10)
    with pytest.raises(CorruptError, match="pump-7 does not match its hash"):
        known.devices_of(GUID, "", 0, 10)
    known.close()


def _alter(path: Path, before: bytes, after: bytes) -> None:
    stored = path.read_bytes()
    assert before in stored
    path.write_bytes(stored.replace(before, after))


def _peak_bytes(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
