"""Where events go, how long the client tries, and how it says that it gave up."""

from __future__ import annotations

import random
import ssl
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from tocsin.errors import InvalidInputError, TocsinError


class UnavailableError(TocsinError):
    """The server could not be reached, or was too busy for too long; what it acknowledged is safe."""

    code = "unavailable"
    status = 503


class RefusedError(TocsinError):
    """The server refuses these events for good: trying again would change nothing."""

    code = "refused"
    status = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Destination:
    """A server and the right to send to it. `ca_file`: certificates to trust besides the system's.

    InvalidInputError where no try could ever succeed: no address, or nothing that can be a token.
    """

    url: str
    token: str = field(repr=False)
    compress: bool = False
    timeout_s: float = 60.0
    ca_file: Path | None = None

    def __post_init__(self) -> None:
        require_address(self.url)
        require_token(self.token)

    def tls_context(self) -> ssl.SSLContext:
        """What is trusted: the system's certificates and those of `ca_file`; nobody where it is not needed.

        InvalidInputError if there are none in it.
        """
        if urlsplit(self.url).scheme == "http" and self.ca_file is None:
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # reading the system's takes 30 ms
        context = ssl.create_default_context()
        if self.ca_file is not None:
            try:
                context.load_verify_locations(self.ca_file)
            except OSError as error:
                detail = f"{self.ca_file} can't be read as certificates ({error.strerror or error})"
                raise InvalidInputError(f"{detail}: name a PEM file", field="ca_file") from error
        return context


def require_address(url: str) -> None:
    """InvalidInputError if this is no address of a server."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, a bracket without its other half
        usable = False
    if not usable:
        raise InvalidInputError(
            f"{url!r} is no address of a server: write it like http://127.0.0.1:8765", field="url"
        )


def require_token(token: str) -> None:
    """InvalidInputError if a header cannot carry this; whether it is valid only the server knows."""
    if not token:
        raise InvalidInputError("no credential: set TOCSIN_TOKEN, or name one with --token", field="token")
    if not (token.isascii() and token.isprintable() and " " not in token):
        raise InvalidInputError(
            "the credential has blanks or characters that no token has: copy it again", field="token"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """Pauses between tries: drawn from 0 to a bound that doubles, never less than the server's Retry-After.

    A body that was tried in vain for `give_up_s`, tries and pauses together, ends the sending with
    UnavailableError; the time in which the server took bytes is not in vain.
    """

    first_s: float = 0.1
    longest_s: float = 10.0
    give_up_s: float = 600.0

    def pause_s(self, tries: int, retry_after_s: float, rng: random.Random) -> float:
        """How long to wait after the given number of failed tries (from 1)."""
        bound = min(self.longest_s, self.first_s * 2.0 ** min(tries - 1, 60))
        return max(retry_after_s, rng.uniform(0, bound))
