"""Admission: a field keeps its type, nothing grows without end, and what is known survives a restart."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.errors import StorageUnavailableError
from tocsin.ingest.admission import Catalogue
from tocsin.ingest.catalogue_store import CatalogueStore
from tocsin.ingest.parsing.body import parse_body
from tocsin.ingest.parsing.limits import ParseLimits
from tocsin.ingest.parsing.parsed_body import ParsedBody
from tocsin.ingest.series_table import SeriesLimits
from tocsin.storage.scripts import load_scripts

Opener = Callable[..., Catalogue]
Fields = dict[str, Any]


def parsed(*events: Fields) -> ParsedBody:
    """A body with these events; device "d" and ts 0 where they say nothing else."""
    body = "\n".join(json.dumps({"device": "d", "ts": 0} | event) for event in events).encode()
    return parse_body(body, content_type="application/x-ndjson", content_encoding="", limits=ParseLimits())


def said(body: ParsedBody) -> list[tuple[int, str, str]]:
    return [(error.line, error.code.value, error.field) for error in body.errors]


@pytest.fixture
def opener(tmp_path: Path) -> Iterator[Opener]:
    """Opens the same catalogue again and again."""
    opened: list[Catalogue] = []

    def open_catalogue(name: str = "catalogue", **limits: int) -> Catalogue:
        store = CatalogueStore(tmp_path / f"{name}.sqlite")
        opened.append(Catalogue(store, SeriesLimits(**limits)))
        return opened[-1]

    yield open_catalogue
    for catalogue in opened:
        catalogue.close()


def test_number_that_becomes_text_is_a_schema_mismatch(opener: Opener) -> None:
    """The whole event is refused, its line is told, and the next number of the series goes on."""
    answer = opener().admit("t", parsed({"x": 1, "y": 2}, {"x": "one", "y": 3}, {"x": 2.5}))
    assert said(answer) == [(2, "schema_mismatch", "x")]
    assert answer.line.tolist() == [1, 3]
    assert answer.batch.value.tolist() == [1, 2, 2.5]


def test_text_that_becomes_a_number_is_a_schema_mismatch(opener: Opener) -> None:
    """The first type counts, also over two bodies, and a quoted name is the same name in both."""
    catalogue = opener()
    catalogue.admit("t", parsed({'quoted "name"\\': "on"}))
    answer = catalogue.admit("t", parsed({'quoted "name"\\': 1}))
    assert said(answer) == [(1, "schema_mismatch", 'quoted "name"\\')]
    assert answer.received == 1


def test_integer_then_fraction_is_no_change_of_type(opener: Opener) -> None:
    """20 followed by 20.1 is one series of numbers."""
    assert not opener().admit("t", parsed({"x": 20}, {"x": 20.1})).errors


def test_types_belong_to_a_device_of_a_tenant(opener: Opener) -> None:
    """Another device, or the same name in another tenant, has types of its own."""
    catalogue = opener()
    catalogue.admit("t", parsed({"x": 1}))
    assert not catalogue.admit("t", parsed({"device": "e", "x": "text"})).errors
    assert not catalogue.admit("u", parsed({"x": "text"})).errors


def test_fields_of_a_device_are_bounded(opener: Opener) -> None:
    """Texts count too; the event that would exceed the bound is refused whole, known series go on."""
    catalogue = opener(fields=2)
    answer = catalogue.admit(
        "t", parsed({"a": 1}, {"a": 1, "b": "x", "c": 1}, {"b": "x"}, {"c": 1}, {"a": 2})
    )
    assert said(answer) == [(2, "cardinality_limit", "c"), (4, "cardinality_limit", "c")]
    assert answer.line.tolist() == [1, 3, 5]


def test_devices_of_a_tenant_are_bounded(opener: Opener) -> None:
    """A device too many is refused, also when it only gives a sign of life; known devices go on."""
    catalogue = opener(devices=1)
    answer = catalogue.admit("t", parsed({"x": 1}, {"device": "e"}, {"device": "f", "x": 1}, {"x": 2}))
    assert said(answer) == [(2, "cardinality_limit", "device"), (3, "cardinality_limit", "device")]
    assert answer.batch.device.tolist() == ["d", "d"]


def test_series_of_a_tenant_are_bounded(opener: Opener) -> None:
    """Many devices with few fields each meet a bound as well; known series go on, also in the next body."""
    catalogue = opener(series=2)
    answer = catalogue.admit(
        "t", parsed({"x": 1}, {"device": "e", "x": 1}, {"device": "f", "x": 1}, {"device": "e", "x": 2})
    )
    assert said(answer) == [(3, "cardinality_limit", "x")]
    assert answer.line.tolist() == [1, 2, 4]
    assert said(catalogue.admit("t", parsed({"x": 2}, {"device": "g", "x": 1}))) == [
        (2, "cardinality_limit", "x")
    ]


def test_refused_events_leave_no_trace(opener: Opener) -> None:
    """Neither a name nor a device that came only in a refused event is remembered."""
    catalogue = opener(fields=1)
    catalogue.admit("t", parsed({"x": 1}, *({f"new{i}": 1} for i in range(100))))
    catalogue.admit("t", parsed({"device": "e", "a": 1, "b": 2}))
    (known,) = catalogue.export()
    assert (known.devices, known.fields, len(known.words)) == (("d",), ("x",), 8)


def test_refused_event_is_kept_as_a_line_that_says_the_same(opener: Opener) -> None:
    """The dead letter of an event that was parsed can be sent again and is the same event."""
    event = {"id": "7", "application": "a", "x": "text", "y": 0.1, "z": [1, {"k": None}], "ü": True}
    catalogue = opener()
    catalogue.admit("t", parsed({"x": 1}))
    (error,) = catalogue.admit("t", parsed(event)).errors
    assert json.loads(error.body) == {"device": "d", "ts": 0} | event


def test_what_is_known_survives_a_restart(opener: Opener) -> None:
    """After opening again, types and counts are as they were."""
    first = opener(fields=2)
    first.admit("t", parsed({"x": 1, "y": "on"}, {"device": "e", "y": 1}))
    first.close()
    second = opener(fields=2)
    answer = second.admit("t", parsed({"x": "one"}, {"z": 1}, {"device": "e", "y": "on"}, {"x": 2}))
    assert said(answer) == [
        (1, "schema_mismatch", "x"),
        (2, "cardinality_limit", "z"),
        (3, "schema_mismatch", "y"),
    ]
    assert second.export() == opener(fields=2).export()


def test_many_small_additions_are_folded_when_opening(opener: Opener, tmp_path: Path) -> None:
    """A catalogue that grew in 1,001 steps is stored in one row a tenant afterwards, and is the same."""
    store = CatalogueStore(tmp_path / "catalogue.sqlite")
    grown = Catalogue(store)
    grown.admit("t", parsed({"x": 1}))
    (known,) = grown.export()
    store.add([known] * 1000)
    again = opener()
    assert again.export() == [known]
    again.close()
    store.close()
    assert len(list(CatalogueStore(tmp_path / "catalogue.sqlite").read())) == 1


def test_new_series_that_cannot_be_stored_is_not_admitted(opener: Opener) -> None:
    """When the disk fails, admit raises; and again, until what it knows in memory is on disk."""
    catalogue = opener()
    catalogue.close()
    for _ in range(2):
        with pytest.raises(StorageUnavailableError):
            catalogue.admit("t", parsed({"x": 1}))


def test_migrations_make_the_schema() -> None:
    """Applying the migrations one by one gives the documented schema."""
    scripts = load_scripts("tocsin.ingest", "catalogue")
    assert "".join(scripts.migrations) == scripts.schema


NAMES = st.sampled_from(["a", "b", "c", 'q"', "ü"])
VALUES = st.sampled_from([1, 2.5, "text", True, [1, "x,]}"], {"k": "v"}, None])
EVENTS = st.lists(
    st.tuples(st.sampled_from(["d", "e", "f"]), st.dictionaries(NAMES, VALUES, max_size=4)), max_size=8
)


def expected(events: list[tuple[str, Fields]], known: dict[str, dict[str, bool]]) -> list[bool]:
    """Which events are admitted, written from the rules: at most 2 devices, 3 fields, 5 series."""
    answers = []
    for device, fields in events:
        kinds = {
            name: isinstance(v, (int, float)) and v is not True for name, v in fields.items() if v is not None
        }
        own = known.get(device, {})
        merged = kinds | own
        good = all(merged[name] == kind for name, kind in kinds.items()) and len(merged) <= 3
        good = good and (device in known or len(known) < 2)
        series = sum(len(fields) for fields in known.values()) + len(merged) - len(own)
        good = good and (series <= 5 or len(merged) == len(own))
        if good:
            known[device] = merged
        answers.append(good)
    return answers


@settings(deadline=None, max_examples=150)
@given(st.lists(EVENTS, max_size=4))
def test_admission_follows_its_rules_event_by_event(bodies: list[list[tuple[str, Fields]]]) -> None:
    """However events are cut into bodies, each is judged as plain rules judge it one after another."""
    catalogue = Catalogue(_NoStore(), SeriesLimits(devices=2, fields=3, series=5))
    known: dict[str, dict[str, bool]] = {}
    for events in bodies:
        answer = catalogue.admit("t", parsed(*({"device": device} | fields for device, fields in events)))
        admitted = np.flatnonzero(expected(events, known)) + 1
        assert answer.line.tolist() == admitted.tolist()
        assert answer.received == len(events) == len(answer.batch) + len(answer.errors)


class _NoStore(CatalogueStore):
    """Keeps nothing, so that examples need no disk."""

    def __init__(self) -> None:
        pass

    def add(self, entries: object) -> None:
        pass

    def read(self) -> Iterator[Any]:
        return iter(())
