"""What every blob store promises: whole or absent, named by content, one winner a name."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tocsin.blobs.abstract import BlobRef, BlobStore, DigestMismatchError
from tocsin.blobs.embedded import EmbeddedBlobStore
from tocsin.errors import CorruptError, NotFoundError

Opener = Callable[[], BlobStore]


@pytest.fixture(params=["embedded"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens a store over the same place again and again."""
    opened: list[BlobStore] = []

    def opener() -> BlobStore:
        opened.append(EmbeddedBlobStore(tmp_path / request.param))
        return opened[-1]

    yield opener
    for store in opened:
        store.close()
        store.close()


@pytest.fixture
def store(reopen: Opener) -> BlobStore:
    return reopen()


def put(store: BlobStore, *pieces: bytes) -> BlobRef:
    """Take in a blob piece by piece."""
    upload = store.begin()
    for piece in pieces:
        upload.write(piece)
    return upload.finish()


def whole(store: BlobStore, sha256: str) -> bytes:
    """All bytes of a blob."""
    with store.open(sha256) as blob:
        return blob.read(0, blob.size)


@settings(max_examples=20, deadline=None)
@given(pieces=st.lists(st.binary(max_size=300), max_size=6))
def test_a_blob_is_what_was_written(tmp_path_factory: pytest.TempPathFactory, pieces: list[bytes]) -> None:
    """However it was cut into pieces, its name is the hash of all of it."""
    store, data = EmbeddedBlobStore(tmp_path_factory.mktemp("blobs")), b"".join(pieces)
    ref = put(store, *pieces)
    assert ref == BlobRef(hashlib.sha256(data).hexdigest(), len(data))
    assert whole(store, ref.sha256) == data


def test_blobs_are_there_after_a_restart(reopen: Opener) -> None:
    """And the same bytes again are the same blob."""
    first = put(reopen(), b"hello")
    again = reopen()
    assert whole(again, first.sha256) == b"hello"
    assert put(again, b"hel", b"lo") == first


def test_reading_begins_anywhere_and_stops_at_the_end(store: BlobStore) -> None:
    """As an archive is read: its end first."""
    with store.open(put(store, b"0123456789").sha256) as blob:
        assert (blob.read(7, 100), blob.read(2, 3), blob.read(10, 1)) == (b"789", b"234", b"")


def test_nothing_is_seen_before_the_end(store: BlobStore, reopen: Opener) -> None:
    """Neither while it is on its way, nor discarded, nor left behind by a process that was killed."""
    names = {data: hashlib.sha256(data).hexdigest() for data in (b"under way", b"discarded")}
    left, discarded = store.begin(), store.begin()
    left.write(b"under way")
    discarded.write(b"discarded")
    discarded.discard()
    discarded.discard()
    for opened in (store, reopen()):
        for sha256 in names.values():
            with pytest.raises(NotFoundError):
                opened.open(sha256)


def test_other_bytes_than_announced_are_not_kept(store: BlobStore) -> None:
    """What was altered on the way is refused, and what did come is no blob."""
    upload = store.begin()
    upload.write(b"altered")
    with pytest.raises(DigestMismatchError):
        upload.finish(hashlib.sha256(b"original").hexdigest())
    with pytest.raises(NotFoundError):
        store.open(hashlib.sha256(b"altered").hexdigest())


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_a_name_that_is_no_hash_names_nothing(store: BlobStore, name: str) -> None:
    """It never becomes a path."""
    with pytest.raises(NotFoundError):
        store.open(name)


def test_the_first_claim_stays(store: BlobStore, reopen: Opener) -> None:
    """A name stands for what it was claimed for first, after a restart too."""
    assert store.claimed("pump-7/1") is None
    assert store.claim("pump-7/1", b"first") == b"first"
    assert store.claim("pump-7/1", b"second") == b"first"
    again = reopen()
    assert again.claim("pump-7/1", b"third") == b"first"
    assert (again.claimed("pump-7/1"), again.claimed("pump-7/2")) == (b"first", None)


def test_of_many_who_claim_at_once_one_wins(store: BlobStore) -> None:
    """All of them hear the same content."""
    with ThreadPoolExecutor(8) as pool:
        answers = set(pool.map(lambda number: store.claim("n", bytes([number])), range(40)))
    assert len(answers) == 1
    assert store.claimed("n") in answers


def test_altered_bytes_are_named(store: BlobStore, tmp_path: Path) -> None:
    """A flipped bit in a blob or a claim is found by reading everything, and a claim is never believed."""
    ref = put(store, b"hello")
    store.claim("name", b"content")
    assert store.verify() == []
    files = [path for path in (tmp_path / "embedded").rglob("*") if path.is_file()]
    for path in files:
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    assert len(store.verify()) == 2
    assert ref.sha256[2:] in store.verify()[0]
    with pytest.raises(CorruptError):
        store.claimed("name")


def test_a_claim_is_small(store: BlobStore) -> None:
    """What is larger belongs into a blob."""
    with pytest.raises(ValueError, match="at most"):
        store.claim("n", bytes(65 << 10))


def test_a_staged_upload_goes_on_where_it_was_durable(store: BlobStore, reopen: Opener) -> None:
    """After a restart, with its note; what was not synced was never promised."""
    upload = store.stage("pump-7/1", b"note")
    upload.write(b"durable ")
    upload.sync()
    upload.write(b"lost")
    again = reopen()
    assert again.notes() == {"pump-7/1": b"note"}
    found = again.stage("pump-7/1", b"another note")
    assert (found.note, found.size) == (b"note", 8)
    found.write(b"bytes")
    assert found.finish(hashlib.sha256(b"durable bytes").hexdigest()).size_bytes == 13
    found.discard()
    assert again.notes() == {}
    assert again.staged("pump-7/1") is None
    assert whole(again, hashlib.sha256(b"durable bytes").hexdigest()) == b"durable bytes"


def test_an_upload_may_be_finished_again(store: BlobStore, reopen: Opener) -> None:
    """Whoever finished it may have been killed before it told anybody."""
    upload = store.stage("n", b"")
    upload.write(b"bytes")
    ref = upload.finish()
    again = reopen().staged("n")
    assert again is not None
    assert (again.size, again.finish(ref.sha256)) == (5, ref)


def test_what_was_written_since_the_last_sync_may_be_forgotten(store: BlobStore) -> None:
    """The hash forgets it too."""
    upload = store.stage("n", b"")
    upload.write(b"kept ")
    upload.sync()
    upload.write(b"altered on the way")
    upload.revert()
    assert upload.size == 5
    upload.write(b"bytes")
    assert upload.finish().sha256 == hashlib.sha256(b"kept bytes").hexdigest()


def test_a_staged_upload_of_other_bytes_is_no_blob(store: BlobStore) -> None:
    """It stays staged until it is discarded."""
    upload = store.stage("n", b"")
    upload.write(b"altered")
    with pytest.raises(DigestMismatchError):
        upload.finish("0" * 64)
    upload.discard()
    upload.discard()
    assert store.staged("n") is None
    assert store.stage("n", b"").size == 0


def test_damage_to_a_staged_upload_is_named(store: BlobStore, reopen: Opener, tmp_path: Path) -> None:
    """Its size is not believed, nor are bytes that are no more."""
    upload = store.stage("n", b"")
    upload.write(b"bytes")
    upload.sync()
    upload.close()
    (data,) = tmp_path.rglob("data")
    data.write_bytes(b"by")
    with pytest.raises(CorruptError, match="lacks 3 bytes"):
        reopen().staged("n")
    assert store.verify() == []
    for name in ("size", "note"):
        (path,) = tmp_path.rglob(name)
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        with pytest.raises(CorruptError):
            reopen().staged("n")
    assert (len(store.verify()), store.notes()) == (2, {})
    store.unstage("n")
    assert (store.verify(), store.staged("n")) == ([], None)


@pytest.mark.parametrize("gone", [("note", "size"), ("size",)])
def test_what_is_left_of_an_upload_that_became_a_blob_stays_the_blob_s(
    reopen: Opener, tmp_path: Path, gone: tuple[str, ...]
) -> None:
    """Killed with both names, and once more while it was forgotten: who begins anew has a file of his own."""
    upload = reopen().stage("n", b"")
    upload.write(b"bytes")
    ref = upload.finish()
    (size,) = tmp_path.rglob("size")
    (size.parent / "data").hardlink_to(tmp_path / "embedded" / ref.sha256[:2] / ref.sha256[2:])
    for name in gone:
        (size.parent / name).unlink()
    store = reopen()
    again = store.stage("n", b"")
    again.write(b"other")
    again.sync()
    again.close()
    assert whole(store, ref.sha256) == b"bytes"
