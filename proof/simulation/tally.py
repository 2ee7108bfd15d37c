"""The dump detector of a simulated fleet: what it says hangs on every line of every dump so far, in order."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping

from tocsin.dump_detectors.abstract import Device, Dump, DumpDetector, Finding
from tocsin.model import Severity

NAME = "tally"
_FAULT = re.compile(r"(?:\S*Z (?:[A-Z]+ )?)?fault (\S+)")


class Tally(DumpDetector):
    """Finds lines that say `fault`, alone or behind a time. It can't go on from another version's state."""

    name = NAME
    version = "1"

    def setup(self, config: Mapping[str, object]) -> None:
        """It takes none."""

    def start(self, device: Device) -> None:
        self.dumps, self.chain = 0, ""

    def process(self, dump: Dump) -> Iterator[Finding]:
        self.dumps += 1
        self._chain(f"{dump.epoch}.{dump.sequence}")
        for member in dump.members():
            for line in member.lines():
                self._chain(line.text)
                if (found := _FAULT.fullmatch(line.text)) is not None:
                    what = found.group(1)
                    yield Finding(
                        component=member.component,
                        code="fault",
                        severity=Severity.WARNING,
                        score=2.0,
                        key=what,
                        from_ms=dump.collected_from_ms or 0,
                        to_ms=dump.collected_to_ms or 0,
                        reason=f"{what} in line {line.number} of dump {self.dumps}: {self.chain[:12]}",
                    )

    def save(self) -> bytes:
        return json.dumps([self.dumps, self.chain]).encode()

    def load(self, state: bytes, version: str) -> None:
        self.dumps, self.chain = json.loads(state)

    def _chain(self, text: str) -> None:
        self.chain = hashlib.sha256(f"{self.chain}{text}\n".encode()).hexdigest()


class SecondTally(Tally):
    """The same in a version that knows the state of the first."""

    version = "2"

    def migrate(self, state: bytes, version: str) -> bytes:
        return state if version == Tally.version else super().migrate(state, version)


VERSIONS = {kind.version: kind for kind in (Tally, SecondTally)}
