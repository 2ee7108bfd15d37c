"""Archives that Tocsin writes: the strict reader takes them, and equal members give equal bytes."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from tocsin.dump_detectors.reading import component_of
from tocsin.dumps.archive import Archive
from tocsin.dumps.log_text import member_name
from tocsin.dumps.source import BytesSource
from tocsin.dumps.writing import write_archive

names = st.text(min_size=1, max_size=256)


@given(st.dictionaries(names.map(member_name), st.binary(max_size=200), max_size=5))
def test_any_component_has_a_member_that_is_read_again(members: dict[str, bytes]) -> None:
    """Whatever its name: slashes, dots, control characters, 256 of the longest."""
    archive = Archive(BytesSource(write_archive(sorted(members.items()))))
    archive.prove()
    found = {member.name: b"".join(member.plain()) for member in archive.members}
    assert found == members
    assert all(component_of(name) for name in found)


@given(names.filter(lambda name: name.isidentifier()))
def test_a_component_with_a_plain_name_keeps_it(name: str) -> None:
    """So that lines and dumps of one component are told together."""
    assert component_of(member_name(name)) == name


def test_lines_that_are_all_equal_are_no_bomb() -> None:
    """Packed they would be a thousand times smaller, which the reader refuses."""
    data = b"2026-11-22T10:00:00Z INFO idle\n" * 200_000
    Archive(BytesSource(write_archive([("a/a.log", data)]))).prove()


def test_the_same_members_give_the_same_bytes() -> None:
    """A dump that was written before a kill is found again by its hash."""
    members = [("a/a.log", random.Random(1).randbytes(1000)), ("b/b.log", b"")]
    assert write_archive(members) == write_archive(list(members))
