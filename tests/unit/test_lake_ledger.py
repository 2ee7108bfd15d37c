"""A damaged ledger is told as such, whatever its bytes have become."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tocsin.errors import CorruptError
from tocsin.lake.ledger import Ledger, Synced

BEFORE = Synced(version=7, writers=("partition-0",))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(byte=st.integers(0, 200), bit=st.integers(0, 7))
def test_no_flipped_bit_of_the_ledger_is_believed(byte: int, bit: int, tmp_path: Path) -> None:
    """Broken JSON, broken UTF-8 or another number is damage; else it says the same as before."""
    path = tmp_path / "synced.json"
    path.unlink(missing_ok=True)
    Ledger(path).record({"events": BEFORE})
    content = bytearray(path.read_bytes())
    content[byte % len(content)] ^= 1 << bit
    path.write_bytes(content)
    try:
        assert Ledger(path).get("events") == BEFORE
    except CorruptError as error:
        assert "synced.json" in error.detail  # noqa: PT017 - either of both is right


def test_broken_utf8_is_damage(tmp_path: Path) -> None:
    """It is no error of ours that nobody can read."""
    path = tmp_path / "synced.json"
    Ledger(path).record({"events": BEFORE})
    path.write_bytes(path.read_bytes().replace(b"events", b"even\xeas"))
    with pytest.raises(CorruptError, match=r"synced\.json can't be read"):
        Ledger(path)
