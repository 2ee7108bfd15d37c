"""Names inside addresses of pages, and addresses of machines."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import unquote

_NETWORK_BITS: Final = 64


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


def client_of(scope: Mapping[str, Any]) -> str:
    """Where a request comes from, by its ASGI scope; "" where the server does not know.

    >>> client_of({"client": ("192.0.2.7", 50000)}), client_of({"client": None})
    ('192.0.2.7', '')
    """
    client = scope.get("client")
    return client[0] if client else ""


def network_of(address: str) -> str:
    """An IPv4 address, or the network of an IPv6 one, which a single client has 2^64 addresses of.

    >>> network_of("192.0.2.7"), network_of("2001:db8::1:2:3")
    ('192.0.2.7', '2001:db8::/64')
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return address
    return str(ipaddress.ip_network((parsed, _NETWORK_BITS), strict=False))
