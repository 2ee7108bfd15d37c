"""How tenants may be called."""

from __future__ import annotations

import re
from typing import Final

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)
TENANT_RULE: Final = (
    "a tenant's name has 1 to 63 small letters, digits, - and _, and starts with a letter or digit"
)


def is_tenant_name(name: str) -> bool:
    """Whether it can name a tenant; it becomes part of paths."""
    return _NAME.fullmatch(name) is not None
