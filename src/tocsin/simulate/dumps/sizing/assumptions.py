"""What is assumed of dumps, lines, steps, workers and prices where no machine and no server is there."""

from __future__ import annotations

from pathlib import Path

import msgspec

from tocsin.errors import InvalidInputError


class Assumptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Sizes are log-normal between two bounds, as are the devices' lines and the noise of a step's time.

    A step takes `step_fixed_s` and `step_s_per_mib` for each packed MiB, times a noise of median 1; one of
    more than `step_limit_s` is counted as over the limit. Its commit takes `commit_s` of the one thread that
    hands out the steps. A dump counts as long from `long_mib` packed MiB on. A worker takes `worker_start_s`
    to start and ends after `worker_idle_s` without work. Receiving costs `receive_s_per_mib` of a processor;
    from a dump's last byte until it is kept and has its place in the order, `ready_fixed_s` pass, and
    `ready_s_per_mib` for each packed MiB. With a `speed` a day passes so many times as fast, while lines and
    steps stay as they are: for comparisons with real runs, which can't last a day. Prices have no currency:
    put yours in.
    """

    tenants: int = 20
    size_median_kib: float = 800.0
    size_sigma: float = 1.4
    size_min_kib: float = 100.0
    size_max_kib: float = 1024.0 * 1024
    line_median_mbit: float = 20.0
    line_sigma: float = 0.7
    receive_s_per_mib: float = 0.05
    ready_fixed_s: float = 0.03
    ready_s_per_mib: float = 0.04
    step_fixed_s: float = 0.005
    step_s_per_mib: float = 1.0
    step_sigma: float = 0.1
    step_limit_s: float = 60.0
    commit_s: float = 0.01
    long_mib: float = 8.0
    worker_start_s: float = 1.0
    worker_idle_s: float = 60.0
    speed: float = 1.0
    core_hour_price: float = 0.04
    gib_month_price: float = 0.02
    kept_days: float = 365.0

    def __post_init__(self) -> None:
        if not 1 <= self.tenants <= 10_000:
            raise InvalidInputError("tenants must be 1 to 10,000", field="tenants")
        for name in self.__struct_fields__:
            if getattr(self, name) < 0:
                raise InvalidInputError(f"{name} must not be negative", field=name)
        if not 0 < self.size_min_kib <= self.size_median_kib <= self.size_max_kib:
            raise InvalidInputError("sizes must ascend: min, median, max, above 0", field="size_median_kib")
        if self.line_median_mbit == 0:
            raise InvalidInputError("a line must carry something", field="line_median_mbit")
        if self.speed == 0:
            raise InvalidInputError("time must pass", field="speed")


def read_assumptions(path: Path | None) -> Assumptions:
    """Those of a YAML file; what it does not say is as by default."""
    if path is None:
        return Assumptions()
    try:
        return msgspec.yaml.decode(path.read_bytes(), type=Assumptions)
    except (OSError, msgspec.MsgspecError) as error:
        raise InvalidInputError(f"{path}: {error}", field="assume") from error
