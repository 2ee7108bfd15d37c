"""An archive of members that lie in memory; the same members give the same bytes, on any machine."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterable
from typing import Final

RATIO_MAX: Final = 100
"""A large member that could be packed smaller than this is stored as it is: readers take it for a bomb."""
RATIO_FROM_BYTES: Final = 1 << 20
_LEVEL: Final = 1
_PIECE_BYTES: Final = 1 << 16
_DATE: Final = (1980, 1, 1, 0, 0, 0)


def write_archive(members: Iterable[tuple[str, bytes]]) -> bytes:
    """A ZIP archive with these members in this order, packed as quickly as possible."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, data in members:
            info = zipfile.ZipInfo(name, _DATE)
            info.create_system = 3
            info.external_attr = 0o600 << 16
            stored = len(data) > RATIO_FROM_BYTES and _packs_too_small(data)
            info.compress_type = zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED
            archive.writestr(info, data, compresslevel=_LEVEL)
    return whole.getvalue()


def _packs_too_small(data: bytes) -> bool:
    """Whether a reader would take the packed data for a bomb; of most a part tells that they are none."""
    packer, packed_bytes = zlib.compressobj(_LEVEL), 0
    for start in range(0, len(data), _PIECE_BYTES):
        packed_bytes += len(packer.compress(memoryview(data)[start : start + _PIECE_BYTES]))
        if packed_bytes * RATIO_MAX >= len(data):
            return False
    return (packed_bytes + len(packer.flush())) * RATIO_MAX < len(data)
