"""Instances that stay between the steps of their devices, so that a state is seldom read again."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from tocsin.dump_detectors.abstract import Device, DumpDetector, UnknownVersionError
from tocsin.dump_detectors.limits import StepLimits
from tocsin.dump_detectors.registry import dump_detector
from tocsin.dump_detectors.steps import FailureKind, Task


class StepError(Exception):
    """A step can't go on; the arguments are its kind and why."""

    def __init__(self, kind: FailureKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class _Kept:
    instance: DumpDetector
    fits: tuple[bytes, str]
    state_bytes: int


_Key = tuple[str, str, str]


class Instances:
    """The instances of one worker; those not used for longest go first. Not thread-safe.

    `find` gives the class of that name, or raises a TocsinError.
    """

    def __init__(self, limits: StepLimits, find: Callable[[str], type[DumpDetector]] = dump_detector) -> None:
        self._limits = limits
        self._find = find
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def take(self, task: Task) -> DumpDetector:
        """An instance that knows what the task's state says, and that nobody else holds from now on.

        Whoever finishes the step gives it back by `keep`; after a failure it must not come back.
        Raises StepError, or whatever the detector raises.
        """
        kept = self._drop(_key(task))
        same = kept is not None and task.state_version == type(kept.instance).version
        if kept is not None and same and kept.fits == _fits(task, _state_hash(task.state)):
            return kept.instance
        return _made(task, self._find(task.detector))

    def keep(self, task: Task, instance: DumpDetector, state: bytes) -> None:
        """It has just saved `state` at the end of the task."""
        key = _key(task)
        self._drop(key)
        self._kept[key] = _Kept(instance, _fits(task, _state_hash(state)), len(state))
        self._bytes += len(state)
        bounds = self._limits
        while len(self._kept) > bounds.kept_devices_max or self._bytes > bounds.kept_bytes_max:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: _Key) -> _Kept | None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= kept.state_bytes
        return kept


def _made(task: Task, kind: type[DumpDetector]) -> DumpDetector:
    if task.version not in {"", kind.version}:
        raise StepError(
            FailureKind.REFUSED,
            f"{task.detector} {task.version} is in force, and {kind.version} is installed",
        )
    instance = kind()
    _refusing("the configuration", lambda: instance.setup(task.config))
    instance.start(Device(tenant=task.tenant, device=task.device))
    if task.state is not None:
        state = task.state
        if task.state_version != kind.version:
            state = _migrated(instance, state, task.state_version)
        _refusing("the state", lambda: instance.load(state, kind.version))
    return instance


def _migrated(instance: DumpDetector, state: bytes, version: str) -> bytes:
    try:
        migrated = instance.migrate(state, version)
    except UnknownVersionError as error:
        raise StepError(FailureKind.REFUSED, str(error)) from error
    if not isinstance(migrated, bytes):
        raise StepError(FailureKind.ERROR, f"migrate gave {type(migrated).__name__}, not bytes")
    return migrated


def _refusing(what: str, call: Callable[[], None]) -> None:
    try:
        call()
    except ValueError as error:
        raise StepError(FailureKind.REFUSED, f"{what} is refused: {error}") from error


def _key(task: Task) -> _Key:
    return task.tenant, task.device, task.detector


def _fits(task: Task, state_hash: str) -> tuple[bytes, str]:
    """What an instance must have been made of to stand for the task's state."""
    return msgspec.json.encode((task.config, task.version), order="deterministic"), state_hash


def _state_hash(state: bytes | None) -> str:
    return "" if state is None else hashlib.sha256(state).hexdigest()
