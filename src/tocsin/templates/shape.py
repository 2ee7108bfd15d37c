"""The masked text of a line as tokens."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(rb"([\x01-\x04])([^\x01-\x04]*)")
VARYING: Final = b"\0"
SHOWN: Final = b"<*>"


class Token(NamedTuple):
    """A word, varying or not, or what stands between words."""

    spaced: bool
    is_word: bool
    text: bytes

    @property
    def varies(self) -> bool:
        """Whether it stands for any word."""
        return self.text == VARYING


Tokens = tuple[Token, ...]


def tokens_of(masked: bytes) -> Tokens:
    """The tokens of a masked text.

    >>> tokens_of(bytes([1]) + b"at" + bytes([2, 0]))
    (Token(spaced=False, is_word=True, text=b'at'), Token(spaced=True, is_word=True, text=b'\\x00'))
    """
    return tuple(Token(mark[0] in (2, 4), mark[0] < 3, text) for mark, text in _TOKEN.findall(masked))


def shown(tokens: Tokens) -> str:
    """The tokens as people read them, one space where there was any; bytes that are no UTF-8 as escapes."""
    parts = [(b" " if token.spaced else b"") + (SHOWN if token.varies else token.text) for token in tokens]
    return b"".join(parts).strip().decode("utf-8", "backslashreplace")
