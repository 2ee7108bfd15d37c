"""Typed calls for applications that show technicians what Tocsin found, and act for them."""

from tocsin_client.client import Tocsin
from tocsin_client.errors import ChangedError, RefusedError, TocsinError, UnavailableError
from tocsin_client.models import WeeklyRequest
from tocsin_client.stream import Happened
from tocsin_client.transport import new_key

__all__ = [
    "ChangedError",
    "Happened",
    "RefusedError",
    "Tocsin",
    "TocsinError",
    "UnavailableError",
    "WeeklyRequest",
    "new_key",
]
