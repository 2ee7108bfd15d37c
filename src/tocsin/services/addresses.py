"""Names inside addresses: any name survives as one segment of a path."""

from __future__ import annotations

from urllib.parse import unquote


def protected_path(raw_path: bytes) -> str:
    """The path decoded segment by segment, with `/` and `%` inside of a segment encoded again.

    Servers decode the whole path before it is routed, so `a%2Fb` would become two segments.

    >>> protected_path(b"/v1/devices/a%2Fb%20c")
    '/v1/devices/a%2Fb c'
    """
    segments = raw_path.partition(b"?")[0].decode("latin-1").split("/")
    return "/".join(unquote(segment).replace("%", "%25").replace("/", "%2F") for segment in segments)


def restored(segment: str) -> str:
    """The name that a segment of a protected path stands for.

    >>> restored("a%2Fb%252F")
    'a/b%2F'
    """
    return segment.replace("%2F", "/").replace("%25", "%")
