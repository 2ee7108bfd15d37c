"""Compiled kernels: tests keep those that `make` has just compiled, and forget those of other sources."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from scripts.kernel_cache import are_stale, begin_anew


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    """A kernel, what it calls into, and a file that has nothing to do with either."""
    package = tmp_path / "tocsin"
    package.mkdir()
    (package / "kernel.py").write_text("import numba\n\nfrom tocsin.called import add\n")
    (package / "called.py").write_text("import numba\n\nADDS = 1\n")
    (package / "page.py").write_text("TITLE = 'Tocsin'\n")
    return tmp_path


def compiled(sources: Path) -> Path:
    """What Numba would put there."""
    kernel = sources / "tocsin" / "__pycache__" / "kernel.add.py311.nbi"
    kernel.touch()
    return kernel


def test_what_make_has_compiled_is_kept(sources: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a fresh clone compiles everything twice: once to be installed, once for its first test."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "scripts"))
    script: Any = importlib.import_module("compile_kernels")
    kernels: list[Path] = []

    @contextmanager
    def server(*_: object) -> Iterator[Any]:
        counts = {"counts": {"dumps_ready": 1}}
        yield type("Nothing", (), {"url": "", "run": lambda *_: None, "digest": lambda *_: counts})

    monkeypatch.setattr(script, "SOURCES", sources)
    monkeypatch.setattr(script, "run", lambda *_: None)
    monkeypatch.setattr(script, "Server", server)
    monkeypatch.setattr(script, "rehearse", lambda: kernels.append(compiled(sources)))
    script.main()
    assert not are_stale(sources)
    assert [kernel.exists() for kernel in kernels] == [True]


def test_kernels_of_other_sources_are_forgotten(sources: Path) -> None:
    """Also where only a file has changed that a kernel calls into; what holds no kernel changes nothing."""
    assert are_stale(sources)
    begin_anew(sources)
    kernel = compiled(sources)
    (sources / "tocsin" / "page.py").write_text("TITLE = 'A bell'\n")
    assert not are_stale(sources)
    (sources / "tocsin" / "called.py").write_text("import numba\n\nADDS = 2\n")
    assert are_stale(sources)
    begin_anew(sources)
    assert not kernel.exists()
    assert not are_stale(sources)
