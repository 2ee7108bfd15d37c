"""Windows of log lines kept as dumps, where stores fail on the way."""

from __future__ import annotations

import pytest

from tests.dump_kit import good_archive
from tests.http_kit import NOW_MS, OWN, World
from tests.integration.http.test_dumps import logged
from tocsin.control import LineSpan
from tocsin.errors import StorageUnavailableError
from tocsin.services.cut_dumps import CutDump, CutDumps

FREE = (0, 1)


def window(first: int) -> CutDump:
    return CutDump(
        tenant=OWN,
        device="press-0",
        application="presses",
        version="2.1",
        from_ms=NOW_MS + first,
        to_ms=NOW_MS + first + 10,
        lines=LineSpan(first=first, below=first + 10),
        archive=good_archive(),
    )


@pytest.mark.parametrize("payload", [b"logged", b"accepted"])
def test_a_window_that_was_logged_before_its_mark_failed_keeps_its_number(
    world: World, monkeypatch: pytest.MonkeyPatch, payload: bytes
) -> None:
    """Also once the number is processed: it would be found taken, by the window itself."""
    dumps = CutDumps(world.services.dumps, world.blobs)
    claim, failing = world.blobs.claim, [True]

    def claiming(name: str, body: bytes) -> bytes:
        if payload in body and failing:
            failing.pop()
            raise StorageUnavailableError("the disk does not answer")
        return claim(name, body)

    monkeypatch.setattr(world.blobs, "claim", claiming)
    with pytest.raises(StorageUnavailableError):
        dumps.keep(window(0), FREE)
    behind = (0, 2) if logged(world) else FREE
    dumps.keep(window(0), behind)
    dumps.keep(window(10), FREE)
    assert [(each.sequence, each.lines) for each in logged(world)] == [
        (1, LineSpan(first=0, below=10)),
        (2, LineSpan(first=10, below=20)),
    ]


def test_a_window_that_is_kept_again_changes_nothing(world: World) -> None:
    """Whatever is free by then."""
    dumps = CutDumps(world.services.dumps, world.blobs)
    for free in (FREE, FREE, (0, 2)):
        dumps.keep(window(0), free)
    assert [each.sequence for each in logged(world)] == [1]
