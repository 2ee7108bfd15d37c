"""Uploads that outlive the process, in the embedded blob store."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from tocsin.blobs import embedded
from tocsin.blobs.embedded import EmbeddedBlobStore
from tocsin.errors import StorageFullError, StorageUnavailableError, TocsinError
from tocsin.storage.files import sync_directory

BODY = b"the bytes of a dump"
SHA256 = hashlib.sha256(BODY).hexdigest()


class KilledError(BaseException):
    """The process ends here."""


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


def test_a_name_that_was_given_but_not_synced_before_a_kill_is_synced_before_anybody_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the power may go after the answer, and take the name with it."""
    synced: list[Path] = []

    def killed(folder: Path) -> None:
        raise KilledError

    def noted(folder: Path) -> None:
        synced.append(folder)
        sync_directory(folder)

    upload = EmbeddedBlobStore(tmp_path).stage("name", b"note")
    upload.write(BODY)
    monkeypatch.setattr(embedded, "sync_directory", killed)
    with pytest.raises(KilledError):
        upload.finish(SHA256)
    assert (tmp_path / SHA256[:2] / SHA256[2:]).exists()
    monkeypatch.setattr(embedded, "sync_directory", noted)
    again = EmbeddedBlobStore(tmp_path).staged("name")
    assert again is not None
    assert again.finish(SHA256).size_bytes == len(BODY)
    assert synced == [tmp_path / SHA256[:2]]


def test_the_old_name_goes_only_once_the_new_one_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut between two directories may take what goes and leave out what comes."""
    left: list[bool] = []
    upload = EmbeddedBlobStore(tmp_path).stage("name", b"note")
    upload.write(BODY)
    (folder,) = (tmp_path / "staged").iterdir()

    def noted(synced: Path) -> None:
        assert synced == tmp_path / SHA256[:2]
        left.append((folder / "data").exists())
        sync_directory(synced)

    monkeypatch.setattr(embedded, "sync_directory", noted)
    upload.finish(SHA256)
    assert left == [True]
    assert not (folder / "data").exists()


@pytest.mark.parametrize(
    ("number", "error", "told"),
    [
        (errno.EPERM, StorageUnavailableError, "without hard links"),
        (errno.EOPNOTSUPP, StorageUnavailableError, "without hard links"),
        (errno.ENOSPC, StorageFullError, None),
    ],
)
def test_a_disk_without_hard_links_is_named_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, error: type[TocsinError], told: str | None
) -> None:
    """FAT says EPERM, as if somebody else owned the folder; a full disk is called full."""

    def refused(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    upload = EmbeddedBlobStore(tmp_path).stage("name", b"note")
    upload.write(BODY)
    monkeypatch.setattr(Path, "hardlink_to", refused)
    with pytest.raises(error, match=told):
        upload.finish(SHA256)
