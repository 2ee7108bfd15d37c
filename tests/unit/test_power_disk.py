"""The disk that loses power keeps what was synced, and may lose, tear or mix whatever was not."""

from __future__ import annotations

import random

from proof.power.disk import Disk
from proof.shim.event import Event, Kind


def played(*events: Event) -> Disk:
    disk = Disk()
    for event in events:
        disk.play(event)
    return disk


def create(number: int, path: str) -> Event:
    return Event(Kind.CREATE, number, path=path)


def write(number: int, data: bytes, offset: int = 0) -> Event:
    return Event(Kind.WRITE, number, offset, data=data)


def sync(number: int) -> Event:
    return Event(Kind.SYNC, number)


def sync_folder(path: str = "") -> Event:
    return Event(Kind.SYNC_DIRECTORY, path=path)


def contents(disk: Disk, path: str, tries: int = 300) -> set[bytes | None]:
    """What a file may hold after a cut; None = it is not there."""
    rng = random.Random(1)
    states = [disk.state(rng).files.get(path) for _ in range(tries)]
    return {None if state is None else state.data for state in states}


def test_what_was_synced_stays() -> None:
    """A file whose bytes and name were synced has one state alone."""
    assert contents(played(create(1, "a"), write(1, b"x"), sync(1), sync_folder()), "a") == {b"x"}


def test_a_name_needs_a_sync_of_its_folder() -> None:
    """However well the bytes were synced, the file may be gone."""
    assert contents(played(create(1, "a"), write(1, b"x"), sync(1)), "a") == {None, b"x"}


def test_each_folder_has_names_of_its_own() -> None:
    """A sync of the folder above or of a sister makes no name durable."""
    made = (Event(Kind.MKDIR, path="f"), Event(Kind.MKDIR, path="g"), create(1, "f/a"))
    assert contents(played(*made, sync_folder(), sync_folder("g")), "f/a") == {None, b""}
    assert contents(played(*made, sync_folder(), sync_folder("f")), "f/a") == {b""}
    assert contents(played(*made, sync_folder("f")), "f/a") == {None, b""}


def test_a_rename_may_come_before_the_bytes() -> None:
    """The new name may be there without what was written under the old one."""
    disk = played(create(1, "a"), write(1, b"x"), Event(Kind.RENAME, path="a", target="b"), sync_folder())
    assert contents(disk, "b") == {b"", b"x", b"\0"}
    assert contents(disk, "a") == {None}


def test_unsynced_writes_are_dropped_torn_and_reordered() -> None:
    """Of two writes either may be missing, and of one any sectors; sizes may grow without bytes."""
    first, second = b"1" * 1024, b"2" * 512
    disk = played(create(1, "a"), sync_folder(), write(1, first), write(1, second, 1024))
    found = contents(disk, "a", 3000)
    assert {b"", first, first + second, bytes(1024) + second, bytes(1024)} <= found
    assert first[:512] in found
    assert bytes(512) + first[512:] in found


def test_a_truncation_may_be_lost_too() -> None:
    """Neither shrinking nor growing counts before the sync."""
    disk = played(create(1, "a"), sync_folder(), write(1, b"xy"), sync(1), Event(Kind.TRUNCATE, 1, 1))
    assert contents(disk, "a") == {b"x", b"xy"}
    disk = played(create(1, "a"), sync_folder(), Event(Kind.TRUNCATE, 1, 3))
    assert contents(disk, "a") == {b"", bytes(3)}


def test_a_deletion_may_be_lost() -> None:
    """What was deleted may be back, whole."""
    disk = played(create(1, "a"), write(1, b"x"), sync(1), sync_folder(), Event(Kind.UNLINK, path="a"))
    assert contents(disk, "a") == {None, b"x"}


def test_a_linked_file_is_one_file() -> None:
    """Both names show the same bytes in every state."""
    disk = played(
        create(1, "a"), Event(Kind.LINK, path="a", target="b"), sync_folder(), write(1, b"x" * 2048)
    )
    rng = random.Random(2)
    for _ in range(200):
        state = disk.state(rng)
        assert state.files["a"] == state.files["b"]


def test_equal_states_have_equal_hashes_and_others_have_not() -> None:
    """So that distinct states can be counted."""
    disk = played(create(1, "a"), sync_folder(), write(1, b"x" * 512))
    rng = random.Random(3)
    states = [disk.state(rng) for _ in range(100)]
    assert len({state.hash() for state in states}) == len({state.files["a"].data for state in states})
    assert states[0].hash() != played(create(1, "b"), sync_folder()).state(rng).hash()


def test_a_seed_gives_the_same_states_wherever_its_files_lie_in_memory() -> None:
    """Another process, or a busier one, must find what a seed has found."""

    def states(spare: list[bytearray]) -> list[bytes]:
        disk = Disk()
        for number in range(40):
            spare.append(bytearray(64 * len(spare)))
            disk.play(create(number, f"{number}"))
            disk.play(write(number, b"x"))
        rng = random.Random(1)
        return [disk.state(rng).hash() for _ in range(50)]

    assert states([]) == states([bytearray(1)])
