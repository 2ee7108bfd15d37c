"""What becomes of a folder with a flipped bit: read whole, asked for its health, and started again."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from proof.corruption.contents import contents_of, without_last_commit
from proof.corruption.flipping import Flip
from proof.kills.run import Expected
from proof.subject.expected import differences
from proof.subject.life import config_of
from proof.subject.nursery import Cradle, Death, Work, a_life, born, died
from tocsin.cli.integrity import stored_checks
from tocsin.services.digest import Digest


class Fate(StrEnum):
    """What a flip came to. The last three are failures."""

    HARMLESS = "harmless"
    """Nothing that is stored reads differently: a free page, padding, a file that nothing names."""
    NAMED = "named"
    """The doctor names it; a start refuses, or lives with the same verdicts."""
    REBUILT = "rebuilt"
    """The doctor finds nothing any more, and all reads and judges the same once it runs."""
    LAST_COMMIT = "last_commit"
    """All but the last commit of a killed process reads the same: no reader can tell it from a torn one."""
    UNNOTICED = "unnoticed"
    """Something reads differently, and the doctor is content."""
    CHANGED = "changed"
    """It settled with other verdicts or other counts."""
    UNNAMED = "unnamed"
    """A start fails, but not by saying what is damaged; or the doctor itself does."""


FAILURES = frozenset({Fate.UNNOTICED, Fate.CHANGED, Fate.UNNAMED})


@dataclass(frozen=True, slots=True)
class Verdict:
    """The fate of a flip, and why."""

    flip: Flip
    fate: Fate
    words: str


class Ward:
    """Tries flips on copies of one folder; `before` is what it says without any."""

    def __init__(self, original: Cradle, before: Mapping[str, str], expected: Expected) -> None:
        self._original = original
        self._before = before
        self._expected = expected
        self._cut: dict[str, dict[str, str]] = {}

    def judge(self, flip: Flip) -> Verdict:
        """Three processes, each on a copy of its own: read it, ask the doctor, live with it."""
        doctor = self._on_copy(flip, ask_doctor)
        if doctor.code:
            return Verdict(flip, Fate.UNNAMED, f"the doctor ended with {doctor.code}: {doctor.words}")
        named: list[str] = msgspec.json.decode(doctor.result)
        life = self._on_copy(flip, a_life)
        if life.code == 0:
            digest = msgspec.json.decode(life.result, type=Digest)
            found = differences(digest, self._expected.digests, self._expected.accepted)
            if found:
                return Verdict(flip, Fate.CHANGED, f"{found}; doctor: {named}")
        if named:
            return Verdict(flip, Fate.NAMED, f"{named}; life {life.code}")
        if life.code:
            return Verdict(flip, Fate.UNNAMED, f"a life ended with {life.code}: {life.words}")
        return self._read(flip)

    def _read(self, flip: Flip) -> Verdict:
        """The doctor is content and the verdicts are the same: does anything read differently?"""
        reading = self._on_copy(flip, read_all)
        if reading.code:
            return Verdict(flip, Fate.REBUILT, f"it can't be read by itself: {reading.words[-200:]}")
        after: dict[str, str] = msgspec.json.decode(reading.result)
        names = sorted(set(after) | set(self._before))
        changed = [name for name in names if after.get(name) != self._before.get(name)]
        if not changed:
            return Verdict(flip, Fate.HARMLESS, "")
        if flip.path.endswith("-wal") and after == self._without_last_commit(flip.path):
            return Verdict(flip, Fate.LAST_COMMIT, f"{changed} read differently")
        return Verdict(flip, Fate.UNNOTICED, f"{changed} read differently")

    def _without_last_commit(self, wal: str) -> dict[str, str]:
        """What the sound folder would say if its power had gone before the last sync of this file."""
        if wal not in self._cut:
            cradle = self._copy()
            without_last_commit(cradle.data / wal)
            self._cut[wal] = msgspec.json.decode(died(cradle, born(cradle, read_all)).result or b"{}")
        return self._cut[wal]

    def _on_copy(self, flip: Flip, work: Work) -> Death:
        cradle = self._copy()
        flip.apply(cradle.data)
        return died(cradle, born(cradle, work))

    def _copy(self) -> Cradle:
        scratch = self._original.scratch / "copy"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        for name in ("disk", "answers", "control"):
            source = self._original.scratch / name
            copy = shutil.copytree if source.is_dir() else shutil.copy2
            copy(source, scratch / name)
        return Cradle(scratch, self._original.control, self._original.bodies)


def ask_doctor(cradle: Cradle) -> bytes:
    """What `tocsin doctor` names as damaged."""
    checks = stored_checks(config_of(cradle.data))
    return msgspec.json.encode([f"{check.name}: {check.detail}" for check in checks if not check.ok])


def read_all(cradle: Cradle) -> bytes:
    """The contents of the folder as they are, without any recovery but SQLite's."""
    return msgspec.json.encode(contents_of(cradle.data))


def before_of(cradle: Cradle) -> dict[str, str]:
    """What a sound folder says; read from a copy."""
    scratch = cradle.scratch / "before"
    scratch.mkdir()
    shutil.copytree(cradle.scratch / "disk", scratch / "disk")
    death = died(copy := Cradle(scratch, cradle.control, cradle.bodies), born(copy, read_all))
    if death.code:
        raise RuntimeError(f"the sound folder can't be read: {death.words}")
    found: dict[str, str] = msgspec.json.decode(death.result)
    return found
