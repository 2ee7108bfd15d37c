"""What the disk has altered in the inbox is never told as if it were true."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from tests.http_kit import OWN, episode_of
from tocsin.commit.abstract import OutboxRow
from tocsin.errors import CorruptError
from tocsin.inbox.embedded import EmbeddedInbox


@pytest.mark.parametrize("altered", [b"pump-8 is", b"pump-\xb7 is"])
def test_an_altered_history_is_corrupt(tmp_path: Path, altered: bytes) -> None:
    """A sentence with another digit, or one that is no UTF-8 any more, is named by doctor and not shown."""
    path = tmp_path / "inbox.db"
    inbox = EmbeddedInbox(path)
    (anomaly,) = inbox.fold([OutboxRow(1, episode_of("pump-7"))], 5)
    inbox.close()
    stored = path.read_bytes()
    assert b"pump-7 is" in stored
    path.write_bytes(stored.replace(b"pump-7 is", altered))
    inbox = EmbeddedInbox(path)
    with pytest.raises(CorruptError, match=r"inbox\.db"):
        inbox.history(OWN, anomaly.id)
    with pytest.raises(CorruptError, match=r"inbox\.db"):
        inbox.changes(0)
    assert any("inbox.db" in problem for problem in inbox.verify())
    inbox.close()


def test_an_altered_index_is_found(tmp_path: Path) -> None:
    """Rows match their hashes, and yet a list by device would leave the anomaly out: doctor says so."""
    path = tmp_path / "inbox.db"
    inbox = EmbeddedInbox(path)
    inbox.fold([OutboxRow(1, episode_of("pump-7"))], 5)
    inbox.close()
    connection = apsw.Connection(str(path))
    size = connection.execute("PRAGMA page_size").get
    wanted = "SELECT rootpage FROM sqlite_master WHERE type = 'index'"
    roots = [(page - 1) * size for (page,) in connection.execute(wanted)]
    connection.close()
    stored = path.read_bytes()
    altered = next(at for at in roots if b"pump-7" in stored[at : at + size])
    index = stored[altered : altered + size].replace(b"pump-7", b"pump-8")
    path.write_bytes(stored[:altered] + index + stored[altered + size :])
    inbox = EmbeddedInbox(path)
    assert any("inbox.db" in problem for problem in inbox.verify())
    inbox.close()
