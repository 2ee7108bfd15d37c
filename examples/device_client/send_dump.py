"""Sends one log dump to Tocsin, from where an earlier try had come. Needs Python alone.

    TOCSIN_URL=https://tocsin.example TOCSIN_TOKEN=tcs_… python send_dump.py DEVICE SEQUENCE FILE [EPOCH]

EPOCH counts how often the device has begun its numbers anew, from 0.
The exit code is 0 once the server has the dump, 2 if it has it and it is bad, 1 if it could not be sent.
Take it as it is, or as the pattern for a client in another language.
"""

from __future__ import annotations

import base64
import hashlib
import http.client
import os
import random
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

READ_BYTES = 1 << 18
TIMEOUT_S = 60
TRIES = 50
PAUSE_S_MAX = 60.0
FOR_GOOD = {400, 401, 403, 405, 412, 413, 415}


@dataclass
class Upload:
    """A dump on its way; `offset` is what the server had when it was asked last.

    `digest` is of the file as `stamp` says; both are empty when it has to be taken.
    """

    device: str
    sequence: int
    file: Path
    epoch: int = 0
    offset: int = 0
    stamp: tuple[int, ...] = ()
    digest: str = ""


def send(url: str, token: str, upload: Upload) -> str:
    """The outcome: accepted, duplicate, conflict or quarantined. OSError when it can't be brought there."""
    tries = 0
    while True:
        before = upload.offset
        try:
            return _try(url, token, upload)
        except PermissionError:
            raise
        except (OSError, http.client.HTTPException) as error:
            if "digest_mismatch" in str(error):
                upload.stamp = ()
            tries = 1 if upload.offset > before else tries + 1  # what came need not come again
            if tries == TRIES:
                raise OSError(f"gave up after {TRIES} tries: {error}") from error
        time.sleep(min(PAUSE_S_MAX, 0.2 * 1.5**tries) * random.random())


def _try(url: str, token: str, upload: Upload) -> str:
    """Announce the dump, hear how far it is, send the rest."""
    size = _hash(upload)
    said = {"device": upload.device, "sequence": str(upload.sequence), "sha256": upload.digest}
    said["epoch"] = str(upload.epoch)
    metadata = ",".join(f"{key} {base64.b64encode(text.encode()).decode()}" for key, text in said.items())
    common = {"Authorization": f"Bearer {token}", "Tus-Resumable": "1.0.0"}
    announcement = {"Upload-Length": str(size), "Upload-Metadata": metadata, "Content-Length": "0"}
    connection = _connect(url)
    try:
        answer = _ask(connection, "POST", "/v1/dumps", common | announcement, None)
        upload.offset = int(answer.get("upload-offset", "0"))
        if "tocsin-outcome" not in answer:
            piece = {
                "Content-Type": "application/offset+octet-stream",
                "Content-Length": str(size - upload.offset),
                "Upload-Offset": str(upload.offset),
            }
            rest = _bytes(upload.file, upload.offset)
            answer = _ask(connection, "PATCH", answer["location"], common | piece, rest)
        return answer["tocsin-outcome"]
    finally:
        connection.close()


def _ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    headers: dict[str, str],
    body: Iterator[bytes] | None,
) -> dict[str, str]:
    """The headers of a good answer, and of one that says that the dump is there and bad."""
    connection.request(method, path, body=body, headers=headers)
    response = connection.getresponse()
    text = response.read().decode(errors="replace")
    found = {name.lower(): value for name, value in response.getheaders()}
    if response.status in {201, 204} or "tocsin-outcome" in found:
        return found
    if response.status in FOR_GOOD:
        raise PermissionError(f"the server refuses: {response.status} {text}")
    raise OSError(f"the server answered {response.status} {text}")


def _connect(url: str) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.netloc, timeout=TIMEOUT_S)


def _bytes(file: Path, offset: int) -> Iterator[bytes]:
    with file.open("rb") as opened:
        opened.seek(offset)
        while piece := opened.read(READ_BYTES):
            yield piece


def _hash(upload: Upload) -> int:
    """Bytes of the file; its hash is taken again only if the file has changed since."""
    found = upload.file.stat()
    stamp = (found.st_ino, found.st_size, found.st_mtime_ns)
    if upload.stamp != stamp:
        digest = hashlib.sha256()
        for piece in _bytes(upload.file, 0):
            digest.update(piece)
        upload.digest, upload.stamp = digest.hexdigest(), stamp
    return found.st_size


def main() -> int:
    """The command line."""
    if len(sys.argv) not in {4, 5}:
        sys.stderr.write(f"{__doc__}\n")
        return 1
    epoch = int(sys.argv[4]) if len(sys.argv) == 5 else 0
    upload = Upload(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]), epoch)
    try:
        outcome = send(os.environ["TOCSIN_URL"], os.environ["TOCSIN_TOKEN"], upload)
    except OSError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"{upload.device} {upload.sequence}: {outcome}\n")
    return 0 if outcome in {"accepted", "duplicate"} else 2


if __name__ == "__main__":
    sys.exit(main())
