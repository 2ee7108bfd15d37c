"""Uploads that outlive the process, in the embedded blob store."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from tocsin.blobs.embedded import EmbeddedBlobStore
from tocsin.errors import StorageUnavailableError

BODY = b"the bytes of a dump"
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.mark.parametrize("restarted", [False, True])
def test_a_blob_that_could_not_be_named_is_named_by_the_next_try(tmp_path: Path, restarted: bool) -> None:
    """A disk that refused the folder once leaves no upload that is complete and has no blob."""
    store = EmbeddedBlobStore(tmp_path)
    upload = store.stage("name", b"note")
    upload.write(BODY)
    in_the_way = tmp_path / SHA256[:2]
    in_the_way.write_bytes(b"")
    with pytest.raises(StorageUnavailableError):
        upload.finish(SHA256)
    in_the_way.unlink()
    if restarted:
        found = EmbeddedBlobStore(tmp_path).staged("name")
        assert found is not None
        upload = found
    assert upload.finish(SHA256).size_bytes == len(BODY)
    with store.open(SHA256) as blob:
        assert blob.read(0, blob.size) == BODY
    upload.discard()


def test_a_size_that_could_not_be_stored_is_stored_by_the_next_try(tmp_path: Path) -> None:
    """The bytes are given away only once it is certain that they are whole."""
    store = EmbeddedBlobStore(tmp_path)
    upload = store.stage("name", b"note")
    upload.write(BODY)
    (folder,) = (tmp_path / "staged").iterdir()
    (folder / "new").mkdir()
    with pytest.raises(StorageUnavailableError):
        upload.finish(SHA256)
    (folder / "new").rmdir()
    assert upload.finish(SHA256).size_bytes == len(BODY)
    again = EmbeddedBlobStore(tmp_path).staged("name")
    assert again is not None
    assert again.size == len(BODY)
    upload.close()
