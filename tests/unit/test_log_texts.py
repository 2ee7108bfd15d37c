"""Texts of open windows: the same from memory and from the disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin.errors import StorageUnavailableError
from tocsin.runtimes.embedded.log_texts import LogTexts

ONE = ("t", "one")
OTHER = ("t", "other")


def filled(texts: LogTexts) -> LogTexts:
    """With lines of two devices and two components, put on the disk as soon as there are too many."""
    for number in range(50):
        for key in (ONE, OTHER):
            for component in ("door", "büro/1"):
                texts.add(key, component, f"{key[1]} {component} {number}\n".encode())
        texts.keep_within()
    return texts


@pytest.mark.parametrize("bytes_max", [1 << 20, 2_000, 0])
def test_what_is_too_much_for_the_memory_comes_back_from_the_disk(tmp_path: Path, bytes_max: int) -> None:
    """In order, by component and device, whatever the bound; then nothing is left of it."""
    texts = filled(LogTexts(tmp_path / "windows", bytes_max))
    assert any(tmp_path.rglob("*.lines")) == (bytes_max < 1 << 20)
    for key in (ONE, OTHER):
        assert texts.taken(key) == {
            component: b"".join(f"{key[1]} {component} {number}\n".encode() for number in range(50))
            for component in ("door", "büro/1")
        }
    assert not any(tmp_path.rglob("*.lines"))
    texts.close()
    assert not (tmp_path / "windows").exists()


def test_a_disk_that_can_not_be_written_leaves_all_in_memory(tmp_path: Path) -> None:
    """What waits is asked to go again, and nothing of it is lost or there twice."""
    (tmp_path / "windows").write_bytes(b"")  # a file where the folder should be
    texts = LogTexts(tmp_path / "windows", 3)
    texts.add(ONE, "door", b"closed\n")
    with pytest.raises(StorageUnavailableError):
        texts.keep_within()
    (tmp_path / "windows").unlink()
    texts.keep_within()
    assert texts.taken(ONE) == {"door": b"closed\n"}


def test_what_is_known_of_components_ends_with_their_window(tmp_path: Path) -> None:
    """A file begins anew with each dump."""
    texts = LogTexts(tmp_path / "windows", 1 << 20)
    texts.written(ONE).add("door")
    assert texts.written(ONE) == {"door"}
    assert texts.written(OTHER) == set()
    texts.add(ONE, "door", b"x\n")
    texts.taken(ONE)
    assert texts.written(ONE) == set()
