"""Places for work that takes long, which tenants share fairly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from tocsin import threads
from tocsin.access.shares import Shares
from tocsin.errors import BackpressureError

_RETRY_AFTER_S: Final = 5


class Places:
    """Thread-safe. Whoever finds none is refused at once: who waited would keep a thread that answers others.

    `refusal` is what they are told.
    """

    def __init__(self, total: int, refusal: str) -> None:
        self._refusal: Final = refusal
        self._shares: Final = Shares(total)
        self._lock: Final = threads.lock()

    @contextmanager
    def one(self, tenant: str) -> Iterator[None]:
        """A place while the context lasts; BackpressureError where none is left within the tenant's share."""
        with self._lock:
            if not self._shares.take(tenant):
                raise BackpressureError(self._refusal, retry_after_s=_RETRY_AFTER_S)
        try:
            yield
        finally:
            with self._lock:
                self._shares.give_back(tenant)
