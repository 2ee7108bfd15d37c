"""What the disk refuses of blobs in files is told as what it is."""

from __future__ import annotations

import errno
import hashlib
from pathlib import Path

import pytest

from tocsin.blobs import embedded, staging
from tocsin.blobs.embedded import EmbeddedBlobStore
from tocsin.errors import StorageUnavailableError


def refuse(path: Path) -> None:
    """As a disk with an error in the folder."""
    raise OSError(errno.EIO, "Input/output error", str(path))


def test_a_name_that_can_not_be_removed_is_told_and_the_blob_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The blob has its own name by then; what is left of the upload goes at the next start."""
    upload = EmbeddedBlobStore(tmp_path).begin()
    upload.write(b"door opened")
    with monkeypatch.context() as patched:
        patched.setattr(embedded, "remove", refuse)
        with pytest.raises(StorageUnavailableError):
            upload.finish()
        with pytest.raises(StorageUnavailableError):
            upload.discard()
    with EmbeddedBlobStore(tmp_path).open(hashlib.sha256(b"door opened").hexdigest()) as blob:
        assert blob.read(0, 100) == b"door opened"
    assert list((tmp_path / "incoming").iterdir()) == []


@pytest.mark.parametrize("refused", ["remove", "remove_directory"])
def test_an_upload_that_can_not_be_forgotten_is_told_and_can_be_forgotten_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: str
) -> None:
    """Raw, the error of the system would end the process of whoever sweeps old uploads."""
    blobs = EmbeddedBlobStore(tmp_path)
    blobs.stage("upload", b"note").close()
    with monkeypatch.context() as patched:
        patched.setattr(staging, refused, refuse)
        with pytest.raises(StorageUnavailableError):
            blobs.unstage("upload")
    blobs.unstage("upload")
    assert list((tmp_path / "staged").iterdir()) == []
