"""Runs the turns of devices: which go on, which rest, which wait for a worker.

One thread does all of it but the steps themselves. What is in memory is bounded: about as many turns as
there are workers wait for one, and a bounded number rests or is long. The queue is the table of ready dumps.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from tocsin import threads
from tocsin.clock import Clock
from tocsin.dump_detectors.steps import StepDone, StepFailed
from tocsin.errors import (
    BackpressureError,
    CorruptError,
    StorageFullError,
    StorageUnavailableError,
    TocsinError,
)
from tocsin.observability import metrics
from tocsin.observability.logging import get_logger
from tocsin.observability.meters import Meters
from tocsin.runtimes.embedded.dump_asking import Answer, Ask, Going, Rest
from tocsin.runtimes.embedded.dump_crew import Crew, Place
from tocsin.runtimes.embedded.dump_ground import Ground
from tocsin.runtimes.embedded.dump_picking import DeviceKey, Picking
from tocsin.runtimes.embedded.dump_turns import turn
from tocsin.threads import Event, Future

_log = get_logger("dumps")

LONG_WAITING_MAX: Final = 64
RESTING_MAX: Final = 1_000
TURNS_BEGUN_MAX: Final = 256
"""In one round, so that results are taken meanwhile."""
_PUT_OFF_BY: Final = (StorageFullError, StorageUnavailableError, BackpressureError)


@dataclass(slots=True, eq=False)
class _Turn:
    key: DeviceKey
    going: Going[None]
    asks: Ask | None = None  # until its answer is taken
    until_s: float = 0.0


@dataclass(slots=True)
class _Turns:
    """Those that have begun, by what they wait for."""

    waiting: deque[_Turn] = field(default_factory=deque)
    waiting_long: deque[_Turn] = field(default_factory=deque)
    resting: list[_Turn] = field(default_factory=list)
    busy: set[DeviceKey] = field(default_factory=set)


class DumpStepping:
    """`run` works until it is told to stop; `wake` tells it that dumps may have become ready."""

    def __init__(
        self, ground: Ground, crew: Crew, clock: Clock, meters: Meters, *, idle_s: float = 0.5
    ) -> None:
        self._ground: Final = ground
        self._crew: Final = crew
        self._clock: Final = clock
        self._meters: Final = meters
        self._idle_s: Final = idle_s
        self._picking: Final = Picking(ground.steps)
        self._turns: Final = _Turns()
        self._changed = threads.condition()
        self._finished: deque[tuple[_Turn, Place, StepDone | StepFailed]] = deque()
        self._woken = False
        self._put_off_until_s = 0.0

    @property
    def workers(self) -> int:
        """How many worker processes there are."""
        return self._crew.workers

    def wake(self) -> None:
        """Look for ready dumps soon; from any thread."""
        with self._changed:
            self._woken = True
            self._changed.notify()

    def run(
        self, stopping: Event, ready: Callable[[], bool], round_: Callable[[], None] | None = None
    ) -> None:
        """Work until `stopping`, from when `ready` says that what was logged before the start is processed.

        `round_` is called instead of `round`, which it calls.
        What is under way at the end is left out: the next start does it again. Closes the workers.
        """
        try:
            while not stopping.is_set() and not ready():
                stopping.wait(self._idle_s)
            while not stopping.is_set():
                (round_ or self.round)()
                self._wait()
        finally:
            self._crew.close()

    def round(self) -> None:
        """Everything that can be done now, without waiting for a step."""
        for done_turn, place, result in self._taken():
            self._crew.give_back(place)
            self._meters.change(metrics.DUMP_STEPS_RUNNING, -1)
            self._count(result)
            _say_if_failed(done_turn, result)
            done_turn.asks = None
            self._go_on(done_turn, result)
        self._wake_rested()
        if self._clock.monotonic_s() >= self._put_off_until_s:
            self._begin_turns()
        self._hand_out()
        self._crew.keep_to_load()

    def _taken(self) -> list[tuple[_Turn, Place, StepDone | StepFailed]]:
        with self._changed:
            self._woken = False
            finished = list(self._finished)
            self._finished.clear()
        return finished

    def _count(self, result: StepDone | StepFailed) -> None:
        outcome = result.kind.value if isinstance(result, StepFailed) else "done"
        self._meters.add(metrics.DUMP_STEPS, 1, outcome=outcome)
        self._meters.record(metrics.DUMP_STEP_DURATION, result.wall_s)

    def _begin_turns(self) -> None:
        """Begin as many turns as there is room for, and hand each step out at once."""
        turns = self._turns
        for _ in range(TURNS_BEGUN_MAX):
            if len(turns.waiting) >= self._crew.room or len(turns.resting) >= RESTING_MAX:
                return
            try:
                key = self._picking.next(turns.busy)
            except _PUT_OFF_BY as error:
                self._put_off(error)
                return
            if key is None:
                return
            turns.busy.add(key)
            self._go_on(_Turn(key, turn(self._ground, *key)), None)
            self._hand_out()
            if self._clock.monotonic_s() < self._put_off_until_s:
                return
        if len(turns.waiting_long) < LONG_WAITING_MAX:
            self.wake()  # there may be more; where more long ones have no place, a step has to end first

    def _go_on(self, going_on: _Turn, answer: Answer) -> None:
        """Let a turn take its answer and ask for more, or end."""
        turns = self._turns
        try:
            asked = going_on.going.send(answer)
        except StopIteration:
            turns.busy.discard(going_on.key)
            return
        except CorruptError as error:  # it stays busy until the next start: others go on
            _log.error("device_set_aside", tenant=going_on.key[0], device=going_on.key[1], error=error.detail)
            return
        except _PUT_OFF_BY as error:
            self._put_off(error, going_on.key[1])
            turns.busy.discard(going_on.key)
            return
        if isinstance(asked, Rest):
            going_on.until_s = self._clock.monotonic_s() + asked.seconds
            turns.resting.append(going_on)
            return
        going_on.asks = asked
        if not asked.long:
            turns.waiting.append(going_on)
        elif len(turns.waiting_long) < LONG_WAITING_MAX:
            turns.waiting_long.append(going_on)
        else:  # its turn comes again: nothing of it was done yet that is not committed
            going_on.going.close()
            turns.busy.discard(going_on.key)

    def _put_off(self, error: TocsinError, device: str = "") -> None:
        """Begin no turns for a moment: the disk is full, or a store can't be used."""
        _log.warning("dump_steps_wait", error=error.detail, device=device)
        self._put_off_until_s = self._clock.monotonic_s() + self._idle_s

    def _wake_rested(self) -> None:
        now_s = self._clock.monotonic_s()
        rested = [each for each in self._turns.resting if each.until_s <= now_s]
        if rested:
            self._turns.resting = [each for each in self._turns.resting if each.until_s > now_s]
        for each in rested:
            self._go_on(each, None)

    def _hand_out(self) -> None:
        """Give waiting turns workers: long ones first, as far as they may."""
        turns = self._turns
        while turns.waiting_long and self._crew.room_for_long:
            self._step(turns.waiting_long.popleft())
        while turns.waiting and self._crew.room:
            self._step(turns.waiting.popleft())

    def _step(self, waiting: _Turn) -> None:
        asks = waiting.asks
        place = self._crew.lend(*waiting.key, long=asks.long) if asks else None
        if asks is None or place is None:
            raise RuntimeError("there was no worker where there was room")
        self._meters.change(metrics.DUMP_STEPS_RUNNING, 1)
        place.stepper.run(asks.task).add_done_callback(partial(self._step_over, waiting, place))

    def _step_over(self, over: _Turn, place: Place, future: Future[StepDone | StepFailed]) -> None:
        """Called by the worker's thread."""
        result = future.result()
        with self._changed:
            self._finished.append((over, place, result))
            self._changed.notify()

    def _wait(self) -> None:
        """Until a step is over, dumps are ready, a rest ends, or it is time to look."""
        now_s = self._clock.monotonic_s()
        rests_s = [each.until_s - now_s for each in self._turns.resting]
        timeout_s = max(0.0, min([self._idle_s, *rests_s]))
        with self._changed:
            self._changed.wait_for(lambda: self._woken or bool(self._finished), timeout_s)


def _say_if_failed(going_on: _Turn, result: StepDone | StepFailed) -> None:
    if isinstance(result, StepFailed) and going_on.asks is not None:
        task = going_on.asks.task
        _log.warning(
            "step_failed", kind=result.kind, detail=result.detail, tenant=task.tenant,
            device=task.device, sequence=task.dump.sequence, detector=task.detector,
        )  # fmt: skip
