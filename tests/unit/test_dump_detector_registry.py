"""Finding other teams' detectors: what is announced wrongly is told with the place to mend."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.dump_detector_kit import MODULE, install
from tocsin.dump_detectors.registry import dump_detector, names
from tocsin.errors import InvalidInputError


def test_an_announced_detector_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the name of its entry point."""
    install(tmp_path, monkeypatch)
    assert "counting" in names()
    assert (dump_detector("counting").name, dump_detector("counting").version) == ("counting", "2")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "counting"', 'name = "other"', "calls itself 'other', its entry point 'counting'"),
        ('version = "2"', "version = 2", "has the version 2: it must be a text"),
        ('name = "counting"', 'name = "No Name"', "has the name 'No Name'"),
        ("    def save(", "    def keep(", "leaves out save"),
        ("import ctypes", "import no_such_package, ctypes", "can't be imported: ModuleNotFoundError"),
        ("(DumpDetector)", "", "is no subclass of DumpDetector"),
        ("class Counting", "class Other", "can't be imported: AttributeError"),
    ],
)
def test_what_is_announced_wrongly_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, words: str
) -> None:
    """The message names the entry point and what to change."""
    module = f"counting_{abs(hash((old, new)))}"
    install(tmp_path, monkeypatch, announced=f"{module}:Counting")
    (tmp_path / "installed" / f"{module}.py").write_text(MODULE.replace(old, new))
    with pytest.raises(InvalidInputError) as refused:
        dump_detector("counting")
    assert words in str(refused.value)


def test_two_of_one_name_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both packages are named, and nothing is imported."""
    install(tmp_path, monkeypatch)
    about = tmp_path / "installed" / "counting_kit-2.dist-info"
    other = shutil.copytree(about, about.with_name("rival-1.dist-info"))
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 1\n")
    (other / "entry_points.txt").write_text("[tocsin.dump_detectors]\ncounting = rival:Counting\n")
    with pytest.raises(
        InvalidInputError, match=r"counting_kit:Counting of counting-kit.*rival:Counting of rival"
    ):
        dump_detector("counting")


def test_a_name_that_nobody_announces_is_told_with_those_that_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And asks the first question to ask."""
    install(tmp_path, monkeypatch)
    with pytest.raises(InvalidInputError, match=r"'countin'.*counting.*installed in this Python"):
        dump_detector("countin")


def test_tocsins_own_is_found_without_any_package() -> None:
    """It is known by its name, and loaded as another team's is."""
    assert "logs" in names()
    assert dump_detector("logs").name == "logs"
