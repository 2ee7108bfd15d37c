"""What the gathering of log lines needs: rules from the configuration, and who keeps what was cut."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from tocsin.blobs.abstract import BlobStore
from tocsin.config import Config
from tocsin.processing.log_windows import DeviceKey, WindowRules
from tocsin.runtimes.embedded.log_texts import LogTexts
from tocsin.services.cut_dumps import CutDump, CutDumps, Place
from tocsin.services.dumps import Dumps


class Places(Protocol):
    """Knows the order of dumps."""

    def free_dump_place(self, tenant: str, device: str) -> Place:
        """Epoch and number behind all dumps of the device that have been processed."""
        ...

    def cut_to_ms(self, partition: int) -> Mapping[DeviceKey, int]:
        """Where each device's last window that has been processed ended, in time."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class LogWork:
    """What gathering needs from whoever starts the runtime. `keep` makes a dump durable and logs it, at
    the given place or behind it; blocks.

    `watched` tells which tenants' lines dump detectors are shown: others' are not gathered. `texts` makes
    room for the lines of one partition.
    """

    rules: WindowRules
    keep: Callable[[CutDump, Place], None]
    watched: Callable[[str], bool]
    texts: Callable[[int], LogTexts]


def log_work(config: Config, dumps: Dumps, blobs: BlobStore) -> LogWork | None:
    """None where no dump detector is configured: lines then lie in the lake, and nobody is shown them."""
    if not any(watch.dump_detectors for watch in (config.watch, *config.tenants.values())):
        return None
    logs, folder = config.logs, config.data / "windows"
    return LogWork(
        rules=WindowRules(
            length_ms=logs.window_s * 1000,
            bytes_max=logs.window_bytes_max,
            quiet_ms=logs.quiet_s * 1000,
        ),
        keep=CutDumps(dumps, blobs).keep,
        watched=lambda tenant: bool(config.tenants.get(tenant, config.watch).dump_detectors),
        texts=lambda partition: LogTexts(folder / str(partition), logs.memory_bytes // config.log.partitions),
    )
