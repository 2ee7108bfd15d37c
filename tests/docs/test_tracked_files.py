"""What may be in the repository, and what must not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# written in parts, so that this file does not hold what it forbids
_REGISTRIES = {
    "pypi": "org",
    "pythonhosted": "org",
    "npmjs": "org",
    "crates": "io",
    "golang": "org",
    "maven": "org",
    "debian": "org",
}
_FORBIDDEN = {
    "the name of a registry's host": "|".join(rf"\b{name}\.{end}\b" for name, end in _REGISTRIES.items()),
    "a path of somebody's machine": r"(?<![\w.$}-])/(?:work|root|home|Users|tmp)/\w",
    "a private key": "-----BEGIN [A-Z ]*PRIVATE" + " KEY-----",
    "a token of Tocsin": r"\btcs_[0-9a-f]{16}_[\w-]{43}",
    "a credential of a cloud": r"\b(?:AKIA[0-9A-Z]{16}|ghp_[0-9A-Za-z]{36}|xox[bp]-[0-9A-Za-z-]{20,})\b",
}
_LOCKS = re.compile(r"(package-lock\.json|requirements/.*\.txt)$")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def test_no_file_is_over_one_mebibyte(tracked: list[Path]) -> None:
    """The repository stays quick to clone."""
    assert [path for path in tracked if path.stat().st_size > 1 << 20] == []


def test_no_file_is_binary(tracked: list[Path]) -> None:
    """Every file can be read, compared and reviewed as text."""
    assert [path for path in tracked if b"\0" in path.read_bytes()] == []


@pytest.mark.parametrize("what", _FORBIDDEN)
def test_no_file_holds(what: str, tracked: list[Path]) -> None:
    """Nothing of one machine, registry or account gets into the repository."""
    pattern = re.compile(_FORBIDDEN[what])
    found = [(path.name, match[0]) for path in tracked if (match := pattern.search(_text(path)))]
    assert found == []


def test_locks_hold_versions_and_hashes_but_no_addresses(tracked: list[Path]) -> None:
    """A lock works with whatever index or mirror a machine is set up to use."""
    locks = [path for path in tracked if _LOCKS.search(path.as_posix())]
    assert {path.name for path in locks} >= {"runtime.txt", "dev.txt", "installer.txt"}
    assert [path.name for path in locks if "://" in _text(path)] == []
    assert [path.name for path in tracked if path.name in {"uv.lock", "pylock.toml"}] == []


def test_every_locked_package_has_a_hash(root: Path) -> None:
    """What is installed is what was resolved, byte for byte."""
    for lock in (root / "requirements").glob("*.txt"):
        pins = re.split(r"\n(?=[A-Za-z0-9])", lock.read_text().strip())
        assert [pin.split()[0] for pin in pins if "--hash=sha256:" not in pin] == []


def test_development_and_run_time_agree_on_versions(root: Path) -> None:
    """Tests run against the versions that users get."""

    def versions(name: str) -> set[str]:
        return set(re.findall(r"^[\w.-]+==[^ ]+", (root / "requirements" / name).read_text(), re.MULTILINE))

    assert versions("runtime.txt") <= versions("dev.txt")
