"""Opens the directory of each tenant that has one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Final

from tocsin.clock import Clock
from tocsin.config import Config, ConfigError
from tocsin.config.directories import DirectoryConfig
from tocsin.directory.asking import Asking
from tocsin.directory.cache import DirectoryCache
from tocsin.directory.embedded import CachedDirectory
from tocsin.directory.limits import DirectoryLimits
from tocsin.errors import CorruptError
from tocsin.observability import metrics
from tocsin.observability.dependency import Dependency
from tocsin.observability.logging import get_logger
from tocsin.observability.meters import Meters
from tocsin.runtimes.embedded.runtime import Chore
from tocsin.storage.files import settle_directory
from tocsin.traced import CallTracing

_log: Final = get_logger("directory")
_ROUND_S: Final = 1.0
DeviceNames = Callable[[str], Sequence[str]]
"""The names of all devices of a tenant."""


class Directories:
    """Those of all tenants, by tenant, and the jobs that keep them young."""

    def __init__(
        self,
        config: Config,
        clock: Clock,
        meters: Meters,
        calls: CallTracing,
        names: DeviceNames,
        opened: ExitStack,
    ) -> None:
        self._config: Final = config
        self._clock: Final = clock
        self._corrupt: set[str] = set()
        self.by_tenant: Final[Mapping[str, CachedDirectory]] = {
            tenant: self._open(tenant, said, meters, partial(names, tenant), calls, opened)
            for tenant, said in config.directories.items()
        }
        if self.by_tenant:
            meters.observe(metrics.DIRECTORY_FAILING, self._failing)
            meters.observe(metrics.DIRECTORY_OLDEST, self._oldest_s)
            meters.observe(metrics.DIRECTORY_WAITING, self._waiting)

    def chores(self) -> list[Chore]:
        """One each, so that a slow third party keeps no other tenant's mapping from being renewed."""
        return [
            Chore("directory", _ROUND_S, partial(self._round, tenant, directory))
            for tenant, directory in self.by_tenant.items()
        ]

    def end(self) -> None:
        """Send no further question, so that rounds end with the answers that are on their way; idempotent."""
        for directory in self.by_tenant.values():
            directory.end()

    def tell(self) -> str:
        """In words, for the page of health. One that fails is no reason not to be ready."""
        failing = self._failing()
        if failing:
            return f"{failing} of {len(self.by_tenant)} fail: lists are answered from what is kept"
        return f"{len(self.by_tenant)} connected" if self.by_tenant else "none is connected"

    def _open(
        self,
        tenant: str,
        said: DirectoryConfig,
        meters: Meters,
        names: Callable[[], Sequence[str]],
        calls: CallTracing,
        opened: ExitStack,
    ) -> CachedDirectory:
        from tocsin.directory.http_api import HttpDirectoryApi  # noqa: PLC0415 - asks by a client that loads much

        try:
            token = said.credential()
        except ConfigError as error:
            where = f"directories.{tenant}"
            raise ConfigError(f"{where}: {error.detail}", field=where) from error
        folder = self._config.data / "directories"
        settle_directory(folder, mode=0o700)
        limits = limits_of(said)
        cache = DirectoryCache(folder / f"{tenant}.db", rows_max=limits.rows_max)
        api = HttpDirectoryApi(
            str(said.url), self._clock, token=token, timeout_s=said.timeout_s, at_once=said.at_once
        )
        asking = Asking(api, cache, self._clock, limits, known=names, telling=Counted(meters))
        directory = CachedDirectory(cache, asking, self._clock, limits)
        opened.callback(directory.close)
        return calls.watch(directory, Dependency.DIRECTORY)

    def _round(self, tenant: str, directory: CachedDirectory) -> None:
        """What can be learnt again is no reason to end the process: a damaged row is told, and waits."""
        try:
            directory.round()
        except CorruptError as error:
            if tenant not in self._corrupt:
                self._corrupt.add(tenant)
                _log.error("directory_is_damaged", tenant=tenant, reason=error.detail)

    def _failing(self) -> int:
        return sum(directory.failing for directory in self.by_tenant.values())

    def _oldest_s(self) -> float:
        found = [each.counts().oldest_ms for each in self.by_tenant.values()]
        oldest_ms = min((ms for ms in found if ms is not None), default=None)
        return 0.0 if oldest_ms is None else max(0, self._clock.now_ms() - oldest_ms) / 1000

    def _waiting(self) -> int:
        return sum(directory.waiting() for directory in self.by_tenant.values())


class Counted:
    """Counts what becomes of requests; implements directory.Telling."""

    def __init__(self, meters: Meters) -> None:
        self._meters = meters

    def request(self, endpoint: str, outcome: str, took_s: float) -> None:
        self._meters.add(metrics.DIRECTORY_REQUESTS, 1, endpoint=endpoint, outcome=outcome)
        self._meters.record(metrics.DIRECTORY_DURATION, took_s, endpoint=endpoint)


def limits_of(said: DirectoryConfig) -> DirectoryLimits:
    return DirectoryLimits(
        soft_s=said.soft_s,
        hard_s=said.hard_s,
        again_s=said.again_s,
        at_once=said.at_once,
        requests_per_device_day=said.requests_per_device_day,
        requests_per_day_min=said.requests_per_day_min,
        rows_max=said.rows_max,
    )
