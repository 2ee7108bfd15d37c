"""What becomes of each request to the third party, for whoever counts."""

from __future__ import annotations

from typing import Protocol


class Telling(Protocol):
    """Is told of each request when its answer is there or can no longer come."""

    def request(self, endpoint: str, outcome: str, took_s: float) -> None:
        """`endpoint` is technician or device; `outcome` answered, missing or the failure."""
        ...


class Silence:
    """Counts nothing."""

    def request(self, endpoint: str, outcome: str, took_s: float) -> None:
        """Nothing."""
