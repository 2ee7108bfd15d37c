"""Forms as browsers send them."""

from __future__ import annotations

from typing import Final
from urllib.parse import parse_qs

from starlette.requests import Request

FORM_BYTES_MAX: Final = 16 << 10
FORM_FIELDS_MAX: Final = 10
_FORM_TYPE: Final = "application/x-www-form-urlencoded"


async def read_form(
    request: Request, bytes_max: int = FORM_BYTES_MAX, *, fields_max: int = FORM_FIELDS_MAX
) -> dict[str, str]:
    """The fields, each with its first value; none where the body is no form of these pages."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != _FORM_TYPE:
        return {}
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > bytes_max:
            return {}
    try:
        fields = parse_qs(body.decode("ascii", "replace"), max_num_fields=fields_max)
    except ValueError:  # there are more
        return {}
    return {name: values[0] for name, values in fields.items()}
