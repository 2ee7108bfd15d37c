"""Interner: names become numbers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.events import Strings
from tocsin.interning import Interner


@settings(deadline=None)  # the first call may compile
@given(st.lists(st.lists(st.text(max_size=20))))
def test_numbers_follow_first_appearance(batches: list[list[str]]) -> None:
    """However names are cut into batches, a new one gets the next number and an old one keeps its own."""
    interner, expected = Interner(), dict[str, int]()
    for batch in batches:
        numbers = [expected.setdefault(name, len(expected)) for name in batch]
        assert interner.intern(Strings.of(batch)).tolist() == numbers
    assert interner.names().tolist() == list(expected)
    assert len(interner) == len(expected)


def test_grows_beyond_its_first_tables() -> None:
    """100,000 long names, all alike but for the end, keep distinct numbers while the tables grow."""
    names = [f"a-name-much-longer-than-eight-bytes-{i}" for i in range(100_000)]
    interner = Interner()
    assert interner.intern(Strings.of(names)).tolist() == list(range(len(names)))
    assert interner.intern(Strings.of(names[::-1])).tolist() == list(range(len(names)))[::-1]
    assert interner.name(77_777) == names[77_777]


def test_name_longer_than_the_arena_fits() -> None:
    """A single name larger than the free space makes the arena grow far enough at once."""
    interner = Interner()
    assert interner.intern(Strings.of(["x" * 1_000_000, "y"])).tolist() == [0, 1]
    assert interner.name(0) == "x" * 1_000_000


def test_find_adds_nothing() -> None:
    """Looking for an unknown name answers -1 and leaves the table as it is."""
    interner = Interner()
    interner.intern(Strings.of(["a", "b"]))
    assert interner.find(Strings.of(["b", "c", "a", ""])).tolist() == [1, -1, 0, -1]
    assert len(interner) == 2


def test_different_names_of_equal_length_and_zero_bytes_differ() -> None:
    """Trailing zero bytes count: "a" and "a\\0" are two names."""
    assert Interner().intern(Strings.of(["a", "a\0", "", "\0", "a"])).tolist() == [0, 1, 2, 3, 0]
