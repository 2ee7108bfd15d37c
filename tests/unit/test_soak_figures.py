"""What a long run says about slopes, and that its small disk really fills up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proof.soak.disk import filled, small_disk
from proof.soak.watching import Sample, look, per_hour, settled


def sample(at_s: float, rss_bytes: int, life: int = 0) -> Sample:
    """A look at a process of which only memory matters."""
    return Sample(
        at_s=at_s, life=life, rss_bytes=rss_bytes, open_files=9, threads=3, disk_bytes=0, lag_records=0
    )


def test_growth_is_seen_through_restarts() -> None:
    """Each life begins small again; within lives it grows by a byte a second."""
    lives = [sample(1000.0 * life + s, 500 + s, life) for life in range(3) for s in range(0, 300, 10)]
    assert per_hour(lives, lambda each: each.rss_bytes) == pytest.approx(3600)
    assert per_hour(lives, lambda each: each.open_files) == pytest.approx(0)


def test_a_restart_into_more_memory_is_no_growth() -> None:
    """What differs between lives is their level, not their slope."""
    flat = [sample(100.0 * life + s, 10**life, life) for life in range(4) for s in range(5)]
    assert per_hour(flat, lambda each: each.rss_bytes) == pytest.approx(0)


def test_single_looks_give_no_slope() -> None:
    """One look a life says nothing about growth."""
    assert per_hour([sample(0.0, 1, 0), sample(9.0, 5, 1)], lambda each: each.rss_bytes) is None


def test_the_warm_up_of_each_life_is_left_out() -> None:
    """Counted from the first look at it."""
    looks = [sample(100.0 * life + s, 0, life) for life in (0, 1) for s in range(0, 50, 10)]
    assert [each.at_s for each in settled(looks, 25)] == [30, 40, 130, 140]


def test_a_look_sees_this_process(tmp_path: Path) -> None:
    """Memory, files and disk of something that is known to use some."""
    (tmp_path / "file").write_bytes(bytes(100_000))
    with (tmp_path / "file").open():
        found = look(os.getpid(), tmp_path, at_s=1.0, life=0, lag_records=0)
    assert found.rss_bytes > 10_000_000
    assert found.open_files >= 4
    assert found.disk_bytes >= 100_000


def test_a_full_disk_is_full_and_then_free_again(tmp_path: Path) -> None:
    """Nobody can write while the ballast lies there; afterwards it is as before."""
    with small_disk(tmp_path / "disk", 1 << 20) as mounted:
        if not mounted:
            pytest.skip("needs the right to mount")
        with filled(tmp_path / "disk" / "ballast") as taken:
            assert taken > 900_000
            with pytest.raises(OSError, match="No space left"):
                (tmp_path / "disk" / "more").write_bytes(bytes(10_000))
        (tmp_path / "disk" / "more").write_bytes(bytes(10_000))
