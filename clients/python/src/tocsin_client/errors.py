"""What a call raises."""

from __future__ import annotations

from collections.abc import Sequence

from tocsin_client.models import Change


class TocsinError(Exception):
    """Any of the errors below."""


class UnavailableError(TocsinError):
    """There was no answer for as long as was to be waited; a call that acts may have been done or not.

    Ask again with the same idempotency key: it is done once.
    """


class RefusedError(TocsinError):
    """The server said no, and would say so again. `code` is stable, `detail` is for people."""

    def __init__(self, status: int, code: str, detail: str, field: str = "") -> None:
        super().__init__(f"{status} {code}: {detail}")
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field


class ChangedError(RefusedError):
    """Somebody was faster: `changes` came in between, and the anomaly has `version` now (None if unknown)."""

    version: int | None = None
    changes: Sequence[Change] = ()
