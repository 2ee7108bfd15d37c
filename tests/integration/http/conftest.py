"""The application that the tests in this folder talk to."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.http_kit import World
from tocsin.observability.logging import configure_logging


@pytest.fixture(autouse=True, scope="session")
def _logging() -> None:
    """As the server logs; the default prints local variables with every traceback, which takes seconds."""
    configure_logging("warning", "json")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def make_world() -> Iterator[Callable[..., World]]:
    """Worlds with options; closed after the test."""
    with ExitStack() as opened:
        yield lambda **options: opened.enter_context(_open(**options))


@pytest.fixture
def world(make_world: Callable[..., World]) -> World:
    """A world of the test's own."""
    return make_world()


@pytest.fixture(scope="module")
def shared() -> Iterator[World]:
    """One world for all tests of a file that leave nothing behind that others would notice."""
    with _open() as world:
        yield world


@contextmanager
def _open(**options: Any) -> Iterator[World]:
    """In memory where there is such a folder: what survives power loss is tested elsewhere."""
    memory = Path("/dev/shm")  # noqa: S108 - the folder inside of it has a random name
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        world = World(Path(folder), **options)
        try:
            yield world
        finally:
            world.close()
