"""What another team writes to find what is strange in dumps, and what it is given to read.

A detector is a class in a package of its own, announced by an entry point of the group
`tocsin.dump_detectors`. Everything it knows of a device is the dumps it was shown, in strict order, and
the bytes it saved after the one before; equal dumps must give equal findings and equal bytes.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import BinaryIO, ClassVar, Protocol

import msgspec

from tocsin.model import Severity
from tocsin.templates.dictionary import Dictionary


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """The machine that an instance serves."""

    tenant: str
    device: str


class Line(msgspec.Struct, frozen=True, gc=False):
    """One line of a log: `number` from 1; bytes that are no UTF-8 are replaced in `text`.

    `ts_ms` is the time that the line begins with (RFC 3339, a space for the T and no zone allowed, which
    means UTC), None where there is none. A line longer than the limit comes as several.
    """

    number: int
    text: str
    ts_ms: int | None = None


class Member(Protocol):
    """One log file of a dump. Nothing is read before it is asked for, and it may be read again."""

    @property
    def name(self) -> str:
        """As it stands in the archive; it comes from a device: never use it as a path."""
        ...

    @property
    def component(self) -> str:
        """The first folder of the name, or the name up to its first dot."""
        ...

    @property
    def size_bytes(self) -> int:
        """Unpacked, a nested .gz as it lies there."""
        ...

    def lines(self) -> Iterator[Line]:
        """Its lines as a stream, a nested .gz unpacked; memory holds about a line and a piece."""
        ...

    def open(self) -> BinaryIO:
        """Its bytes as a stream, a nested .gz unpacked; can't be sought in."""
        ...


class Dump(Protocol):
    """What a device sent at once. Times are the device's own words, in ms UTC, None where it gave none."""

    @property
    def sequence(self) -> int:
        """The device's number of it; within an epoch each is shown once, in ascending order."""
        ...

    @property
    def epoch(self) -> int:
        """Counts how often the device began its numbering anew."""
        ...

    @property
    def sha256(self) -> str:
        """Of the archive, hex."""
        ...

    @property
    def collected_from_ms(self) -> int | None:
        """From when on its logs are in it."""
        ...

    @property
    def collected_to_ms(self) -> int | None:
        """Up to when."""
        ...

    @property
    def application(self) -> str:
        """The device's product line, empty where unknown."""
        ...

    @property
    def version(self) -> str:
        """The device's software version, empty where unknown."""
        ...

    @property
    def dictionary(self) -> Dictionary | None:
        """The templates that people have taken over for its application, None where they have none."""
        ...

    def members(self) -> Sequence[Member]:
        """Its files in the order of the archive, which is the same at every reading."""
        ...


class EvidenceLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the dump that shows what was found."""

    member: str
    number: int
    text: str


class Finding(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something strange in a dump, for people.

    `component`: the part of the device, empty for the device as a whole. `code`: stable, such as
    `line_shapes`. `score`: above 1 is abnormal, higher is stranger. `reason`: one sentence with numbers,
    without a full stop at the end. `key`: findings of successive dumps with equal component, code and key
    are one episode.
    """

    component: str
    code: str
    severity: Severity
    score: float
    from_ms: int
    to_ms: int
    reason: str
    key: str = ""
    evidence: dict[str, str | int | float | bool] = {}
    lines: tuple[EvidenceLine, ...] = ()


class UnknownVersionError(Exception):
    """A detector can't go on from what another version of it has saved."""


class DumpDetector(ABC):
    """One instance serves one device; its methods are called by one thread, in the order given here.

    `setup` once, `start` once, `load` if the device has a state; then `process` and `save` for each dump.
    An instance may be thrown away after any `save` and another one go on from the bytes, so that these
    must hold all that it knows. An exception from any method fails the step and changes nothing.
    Clocks, randomness without a fixed seed and the network are not to be used.
    """

    name: ClassVar[str]
    """Lower case letters, digits, `_` and `-`; also the name of the entry point."""
    version: ClassVar[str]
    """Of what it does and of its bytes: another one for every change of findings or state."""

    @abstractmethod
    def setup(self, config: Mapping[str, object]) -> None:
        """Take the tenant's configuration; an unknown or wrong key is a ValueError that names it."""

    @abstractmethod
    def start(self, device: Device) -> None:
        """Begin with a device that nothing is known of."""

    @abstractmethod
    def process(self, dump: Dump) -> Iterable[Finding]:
        """Judge a dump, then learn from it. May be a generator, which is read to its end."""

    @abstractmethod
    def save(self) -> bytes:
        """All that is known of the device. Equal knowledge gives equal bytes; no pickle."""

    @abstractmethod
    def load(self, state: bytes, version: str) -> None:
        """Go on from what `save` of this version gave; bytes that it can't read are a ValueError."""

    def note(self) -> str:
        """For people, where it stands with the device, such as how far it has learnt; empty for nothing.

        Asked after each `save`, shown on the device's page, cut to 200 characters; no finding hangs on it.
        """
        return ""

    def migrate(self, state: bytes, version: str) -> bytes:
        """What this version would have saved in place of another version's bytes.

        An UnknownVersionError, as here, means that it can't be told: the device's dumps are then run again.
        Any other exception fails the step.
        """
        raise UnknownVersionError(
            f"{self.name} {self.version} can't go on from the state of version {version}: {len(state)} bytes"
        )
