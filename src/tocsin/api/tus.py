"""The words of tus 1.0.0: what its headers say, and what every answer of its resources carries."""

from __future__ import annotations

import base64
import hashlib
from email.utils import formatdate
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tocsin.errors import InvalidInputError, TocsinError, UnsupportedMediaError

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,creation-with-upload,checksum,expiration,termination"
UPLOADS_PATH: Final = "/v1/dumps"
PIECE_TYPE: Final = "application/offset+octet-stream"
_ALGORITHMS: Final = {"sha1": 20, "sha256": 32}
CAPABILITIES: Final = {
    "Tus-Version": VERSION,
    "Tus-Extension": EXTENSIONS,
    "Tus-Checksum-Algorithm": ",".join(_ALGORITHMS),
}


class TusVersionError(TocsinError):
    """The request is in no version of tus that is spoken here."""

    code = "tus_version"
    status = 412


class TusHeaders:
    """ASGI middleware for the resources of uploads: each answer has the version, an error too.

    A client that can't send PATCH or DELETE says in `X-HTTP-Method-Override` what it means.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not is_upload(scope["path"]):
            await self._app(scope, receive, send)
            return
        meant = next((value for name, value in scope["headers"] if name == b"x-http-method-override"), None)
        if meant is not None and scope["method"] == "POST":
            scope = dict(scope, method=meant.decode("latin-1"))

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Tus-Resumable"] = VERSION
                if message["status"] == TusVersionError.status:
                    headers["Tus-Version"] = VERSION
            await send(message)

        await self._app(scope, receive, marked)


def is_upload(path: str) -> bool:
    """Whether a path is that of the uploads or of one of them."""
    return path == UPLOADS_PATH or path.startswith(f"{UPLOADS_PATH}/")


def check_version(request: Request) -> None:
    """TusVersionError unless the client speaks the version of tus that is spoken here."""
    if request.headers.get("tus-resumable") != VERSION:
        raise TusVersionError(f"Send `Tus-Resumable: {VERSION}`.", field="Tus-Resumable")


def check_piece(request: Request) -> None:
    """UnsupportedMediaError unless the body is a piece of an upload."""
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != PIECE_TYPE:
        raise UnsupportedMediaError(f"Send a piece with `Content-Type: {PIECE_TYPE}`.")


def metadata_of(header: str) -> dict[str, str]:
    """What `Upload-Metadata` says; InvalidInputError when it is malformed.

    >>> metadata_of("device cHJlc3MtMw==,sequence MTIwNw==,urgent")
    {'device': 'press-3', 'sequence': '1207', 'urgent': ''}
    """
    found: dict[str, str] = {}
    for pair in filter(None, (part.strip() for part in header.split(","))):
        key, _, value = pair.partition(" ")
        try:
            found[key] = base64.b64decode(value, validate=True).decode()
        except ValueError as error:  # no base64, characters beyond ASCII, or no UTF-8 behind it
            raise InvalidInputError(
                f"`{key}` is followed by a space and its value in base64 of UTF-8.", field="Upload-Metadata"
            ) from error
    return found


def number_of(request: Request, header: str) -> int:
    """A header that is a whole number ≥ 0; InvalidInputError when it is missing or another thing."""
    text = request.headers.get(header, "")
    if not (text.isascii() and text.isdigit() and len(text) <= 16):
        raise InvalidInputError("Send a whole number of bytes.", field=header)
    return int(text)


def http_date(time_ms: int) -> str:
    """As HTTP writes a time.

    >>> http_date(1795341600000)
    'Sun, 22 Nov 2026 10:00:00 GMT'
    """
    return formatdate(time_ms // 1000, usegmt=True)


class PieceChecksum:
    """`Upload-Checksum`: an algorithm and the hash of one request's body."""

    def __init__(self, header: str) -> None:
        algorithm, _, encoded = header.partition(" ")
        try:
            self._wanted = base64.b64decode(encoded, validate=True)
        except ValueError:  # no base64, or characters beyond ASCII
            self._wanted = b""
        if len(self._wanted) != _ALGORITHMS.get(algorithm, -1):
            raise InvalidInputError(
                f"Send the name of an algorithm ({', '.join(_ALGORITHMS)}), a space and the hash in base64.",
                field="Upload-Checksum",
            )
        self._digest = hashlib.new(algorithm, usedforsecurity=False)

    def update(self, piece: bytes, /) -> None:
        """Go on with it."""
        self._digest.update(piece)

    def matches(self) -> bool:
        """Whether all that came is what was announced."""
        return self._digest.digest() == self._wanted
