"""Characters that act instead of being seen, made visible: names and texts come from anybody.

ESC moves a terminal's cursor and changes its title; U+202E turns the rest of a line round, so that a name
reads as another. What is stored stays as it was sent; this is for whatever is shown.
"""

from __future__ import annotations

import re
from typing import Final

# Controls, line and paragraph separators, marks and overrides of direction, characters without a width, tags,
# lone surrogates. Joiners (U+200C, U+200D) stay: several scripts and most emoji need them.
_CLASS: Final = (
    "\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\U000e0000-\U000e007f\ud800-\udfff"
)
ACTING: Final = re.compile(f"[{_CLASS}]")
_ACTING_BUT_SPACE: Final = re.compile(f"(?![\t\r\n])[{_CLASS}]")
_BMP_END: Final = 0x10000


def visible(text: str) -> str:
    r"""The text with a name in place of each such character, line ends and tabs included.

    >>> visible("pump\x1b[2J"), visible("\u202e7-pmup"), visible("é 泵 👩‍🔧")
    ('pump\\u001b[2J', '\\u202e7-pmup', 'é 泵 👩\u200d🔧')
    """
    return ACTING.sub(_named, text)


def visible_lines(text: str) -> str:
    r"""The same, but tabs and line ends stay.

    >>> visible_lines("a\tb\x07\n")
    'a\tb\\u0007\n'
    """
    return _ACTING_BUT_SPACE.sub(_named, text)


def visible_json(text: str) -> str:
    r"""JSON with the same meaning, in which no such character stands for itself.

    >>> visible_json('"\u202ea\U000e0041"')
    '"\\u202ea\\udb40\\udc41"'
    """
    return _ACTING_BUT_SPACE.sub(_escaped, text)


def _named(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\u{number:04x}" if number < _BMP_END else f"\\U{number:08x}"


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    if number < _BMP_END:
        return f"\\u{number:04x}"
    high, low = divmod(number - _BMP_END, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
