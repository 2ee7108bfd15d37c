"""What Schemathesis does not know by itself: how lines of JSON and archives are written."""

from __future__ import annotations

import json
from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(_context: Any, value: Any) -> bytes:
    """Text as it is, anything else as one line."""
    return value.encode("utf-8", "replace") if isinstance(value, str) else json.dumps(value).encode() + b"\n"


@schemathesis.serializer("application/zip", "application/offset+octet-stream")
def archive(_context: Any, value: Any) -> bytes:
    """Bytes as they are, anything else as text."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
