"""The machines of the demo: they send the dumps of some days, then by turns what they wrote since."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from itertools import cycle, islice
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import msgspec

from tocsin import threads
from tocsin.cli.demo_keys import DemoKeys
from tocsin.cli.demo_story import load_story, save_story
from tocsin.client import Destination, DumpFile, DumpSender, find_dumps
from tocsin.simulate.dumps.fleet import DumpFleet
from tocsin.simulate.dumps.folder import write_dump
from tocsin.simulate.dumps.live import LiveMachine, LiveMachines
from tocsin.simulate.dumps.machine import MadeDump

if TYPE_CHECKING:
    from tocsin.bootstrap import Application

DETECTORS: Final[dict[str, dict[str, Any]]] = {
    "line-shapes": {},
    "number-fields": {},
    "logs": {"config": {"learn_h": 72}},
}
"""The dump detectors of the demo, as far as they are installed. The history has no whole week for `logs`."""
_SEED: Final = 7
_DAYS: Final = 4.0
_PACE_S: Final = 25.0
_TOGETHER: Final = 8
_WAITING_MAX: Final = 8
_PATIENCE_S: Final = 30.0


class MachineStory(msgspec.Struct, frozen=True):
    """Everything needed to go on with the same machines.

    `made` has for each machine the number of its last dump and when the lines of that one end.
    """

    fleet: DumpFleet
    days: float
    first_ms: int
    made: tuple[tuple[int, int], ...]


class MachineFeed:
    """Feeds a running application with dumps from a thread of its own; leaving the context ends it.

    A dump lies on the disk from before its number is used until the server has decided about it, as on a
    real machine: so a demo that is killed sends what it had made, and none twice with other bytes. History
    goes out no faster than the detectors judge it, a machine after the other, which leaves the processor
    to whoever looks at the pages.
    """

    def __init__(self, application: Application, *, machines: int) -> None:
        self._application = application
        self._path: Final = application.config.data / "demo-machines.json"
        self._outbox: Final = application.config.data / "demo-dumps"
        now_ms = application.clock.now_ms()
        self.story = load_story(self._path, MachineStory) or _begun(machines, now_ms)
        live = LiveMachines(self.story.fleet, self.story.first_ms, days=self.story.days)
        self._machines: Final = [live.machine(number, *made) for number, made in enumerate(self.story.made)]
        self._stop = threads.event()
        self._thread: threads.Running | None = None
        self._keys: Final = DemoKeys(application)
        self._token: Final = self._keys.sender("demo machines")
        self.names: Final = [self.story.fleet.device(number) for number in range(len(self._machines))]
        self.failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread = threads.start("demo-machines", self._run)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
        self._keys.revoke()

    def _run(self) -> None:
        try:
            self._save()  # first, so that a run that is cut off goes on with these machines
            self._send_what_was_left()
            for machine in self._machines:
                self._send_history(machine)
                if self._stop.is_set():
                    return
            for machine in cycle(self._machines):
                if self._stop.wait(_PACE_S):
                    return
                self._send([machine.next(self._application.clock.now_ms())])
        except Exception as error:  # noqa: BLE001 - handed to the main thread, which raises it
            self.failure = error

    def _send_history(self, machine: LiveMachine) -> None:
        """Up to the first start of the demo, so that the same start gives the same, and from there to now."""
        for until_ms in (self.story.first_ms, self._application.clock.now_ms()):
            dumps = machine.until(until_ms)
            while some := list(islice(dumps, _TOGETHER)):
                self._send(some)
                self._wait_until_judged()
                if self._stop.is_set():
                    return

    def _send(self, dumps: Sequence[MadeDump]) -> None:
        for dump in dumps:
            write_dump(self._outbox, dump)
        self._save()
        self._send_files(list(self._files()))

    def _send_what_was_left(self) -> None:
        self._send_files(list(self._files()))

    def _files(self) -> Iterator[DumpFile]:
        """What lies in the outbox; a dump whose number was not saved was never sent, and is made anew."""
        if not any(self._outbox.rglob("*.zip")):
            return
        made = dict(zip(self.names, self.story.made, strict=True))
        for file in find_dumps(self._outbox):
            if file.sequence <= made[file.device][0]:
                yield file
            else:
                _remove(file)

    def _send_files(self, files: Sequence[DumpFile]) -> None:
        destination = Destination(url=self._application.server.url, token=self._token)
        DumpSender(destination, connections=1).send(files)
        for file in files:
            _remove(file)

    def _wait_until_judged(self) -> None:
        """Let the detectors come after, for a time: one that has stopped holds nobody up."""
        steps = self._application.stores.steps
        until_s = time.monotonic() + _PATIENCE_S
        while steps is not None and steps.waiting() > _WAITING_MAX and time.monotonic() < until_s:
            if self._stop.wait(0.1):
                return

    def _save(self) -> None:
        made = tuple((machine.sequence, machine.reached_ms) for machine in self._machines)
        self.story = msgspec.structs.replace(self.story, made=made)
        save_story(self._path, self.story)


def _begun(machines: int, now_ms: int) -> MachineStory:
    fleet = DumpFleet(devices=machines, locations=machines, seed=_SEED)
    return MachineStory(fleet, _DAYS, now_ms, ((0, 0),) * machines)


def _remove(file: DumpFile) -> None:
    file.path.with_suffix(".json").unlink(missing_ok=True)
    file.path.unlink()
