"""Every implementation of the inbox, for all its contract tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.inbox_kit import WINDOWS, Opener
from tocsin.inbox.abstract import Inbox
from tocsin.inbox.embedded import EmbeddedInbox


@pytest.fixture(params=["embedded"])
def opener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    """Opens the same inbox again by the same name."""
    opened: list[Inbox] = []

    def open_inbox(name: str = "inbox") -> Inbox:
        assert request.param == "embedded"
        opened.append(EmbeddedInbox(tmp_path / f"{name}.db", WINDOWS))
        return opened[-1]

    yield open_inbox
    for inbox in opened:
        inbox.close()


@pytest.fixture
def inbox(opener: Opener) -> Inbox:
    return opener()
