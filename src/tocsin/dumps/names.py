"""Which names of members are taken: none that could leave a folder, on any system."""

from __future__ import annotations

import re
import stat
from typing import Final

from tocsin.dumps.faults import ZipLimitError, ZipPathError
from tocsin.dumps.limits import ArchiveLimits
from tocsin.visible import visible

_UTF8: Final = 0x0800
_UNIX: Final = 3
_DARWIN: Final = 19
_DRIVE: Final = re.compile(rb"[A-Za-z]:")
_PLAIN: Final = frozenset({0, stat.S_IFREG, stat.S_IFDIR})


def decode_name(raw: bytes, flags: int) -> str:
    """The name as text: UTF-8 where it says so or is, else the code page that ZIP began with.

    >>> decode_name(b"pump.log", 0), decode_name(bytes([0x81]), 0)
    ('pump.log', 'ü')
    """
    try:
        return raw.decode()
    except UnicodeDecodeError:
        if flags & _UTF8:
            raise ZipPathError("A name is marked as UTF-8 and is none.") from None
        return raw.decode("cp437")


def check_name(raw: bytes, name: str, limits: ArchiveLimits) -> None:
    """ZipPathError or ZipLimitError unless the name stays below the folder that it would be put into."""
    if len(raw) > limits.name_bytes_max:
        raise ZipLimitError(f"A name has more than {limits.name_bytes_max} bytes.")
    shown = visible(name)
    if not raw or b"\0" in raw:
        raise ZipPathError(f"The name '{shown}' is empty or holds a NUL.")
    parts = raw.replace(b"\\", b"/").split(b"/")
    if not parts[0] or _DRIVE.match(raw):
        raise ZipPathError(f"The name '{shown}' is an absolute path.")
    if b".." in parts:
        raise ZipPathError(f"The name '{shown}' leads out of its folder.")
    if len(parts) > limits.name_parts_max:
        raise ZipLimitError(f"The name '{shown}' lies more than {limits.name_parts_max} folders deep.")


def check_kind(made_by: int, attributes: int, name: str) -> None:
    """ZipPathError for symbolic links, devices, pipes and sockets."""
    if made_by >> 8 in {_UNIX, _DARWIN} and stat.S_IFMT(attributes >> 16) not in _PLAIN:
        raise ZipPathError(f"The member '{visible(name)}' is a link or device, not a file.")
