"""Takes one dependency away from a running server, and gives it back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from tocsin.bootstrap import Application
from tocsin.errors import StorageUnavailableError
from tocsin.observability.dependency import Dependency

RETRY_AFTER_S: Final = 10
_WRITES: Final = frozenset({"submit"})


class Missing:
    """Made before the server starts. While a dependency is missing, its calls fail as on a broken disk."""

    def __init__(self, application: Application) -> None:
        self._closed: Dependency | None = None
        self._gone: Dependency | None = None
        for dependency, targets in _targets(application).items():
            for target, names in targets.items():
                for name in names:
                    setattr(target, name, self._guarded(target, name, dependency))

    @contextmanager
    def missing(self, dependency: Dependency, settle: Callable[[], None]) -> Iterator[None]:
        """Within the block. What writes to it fails first, then `settle` is called, then all fails."""
        self._closed = dependency
        try:
            settle()
            self._gone = dependency
            yield
        finally:
            self._closed = self._gone = None

    def _guarded(self, target: Any, name: str, dependency: Dependency) -> Callable[..., Any]:
        method: Callable[..., Any] = getattr(target, name)

        def call(*given: Any, **named: Any) -> Any:
            if self._gone is dependency or (self._closed is dependency and name in _WRITES):
                raise StorageUnavailableError(f"{dependency} is missing", retry_after_s=RETRY_AFTER_S)
            return method(*given, **named)

        return call


def _targets(application: Application) -> Mapping[Dependency, Mapping[Any, tuple[str, ...]]]:
    """What fails: of those that answer from memory the file behind them, of the others every call."""
    stores = application.stores
    whole = {
        Dependency.BLOBS: application.blobs,
        Dependency.CHECKPOINTS: stores.checkpoints,
        Dependency.COMMIT: stores.commits,
        Dependency.DIRECTORY: application.directories.by_tenant["default"],
        Dependency.INBOX: stores.inbox,
        Dependency.LAKE: application.lake,
        Dependency.LOG: stores.log,
        Dependency.MAINTENANCE: application.windows,
        Dependency.REPLAYS: application.replays,
        Dependency.SCORES: stores.findings,
        Dependency.STEPS: stores.steps,
    }
    audit, catalogue = application.audit_log, application.services.ingest._catalogue
    return {name: {target: tuple(_calls(target))} for name, target in whole.items()} | {
        Dependency.ACCESS: {application.access._readers: ("lend",)},
        Dependency.AUDIT: {audit: ("_append",), audit._readers: ("lend",)},
        Dependency.CATALOGUE: {catalogue._store: ("add",)},
    }


def _calls(target: object) -> Iterator[str]:
    """What tracing has put in place of its methods, but for waiting, which reads nothing."""
    return (
        name
        for name, value in vars(target).items()
        if callable(value) and hasattr(value, "__wrapped__") and name != "wait"
    )
