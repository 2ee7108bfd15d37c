"""Tokens: `tcs_<key id>_<secret>`, where only the secret is secret."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import dataclass, field
from typing import Final

SECRET_BYTES: Final = 32
_KEY_ID_BYTES: Final = 8
_FORM: Final = re.compile(r"tcs_([0-9a-f]{16})_([A-Za-z0-9_-]{43})", re.ASCII)


@dataclass(frozen=True, slots=True)
class Token:
    """Shown once, when it is made. The key id finds the credential, the secret proves it."""

    key_id: str
    secret: str = field(repr=False)

    @classmethod
    def generate(cls) -> Token:
        """A new token with 256 random bits."""
        return cls(secrets.token_hex(_KEY_ID_BYTES), secrets.token_urlsafe(SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Token | None:
        """The token in `text`, None if it has another form."""
        match = _FORM.fullmatch(text)
        return cls(match[1], match[2]) if match else None

    @property
    def text(self) -> str:
        """What the device or person keeps."""
        return f"tcs_{self.key_id}_{self.secret}"

    @property
    def digest(self) -> bytes:
        """SHA-256 of the secret: all that is stored.

        A slow hash would protect secrets that people think up; 256 random bits cannot be guessed however
        fast the hash is, and every request pays for it.
        """
        return hashlib.sha256(self.secret.encode()).digest()

    def proves(self, digest: bytes) -> bool:
        """Whether the secret is the one that was hashed; takes the same time either way."""
        return hmac.compare_digest(self.digest, digest)
