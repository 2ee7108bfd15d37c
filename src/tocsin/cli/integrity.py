"""What `tocsin doctor` finds out by reading everything that is stored."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from tocsin.cli.checks import AHEAD_S_MAX, Check
from tocsin.cli.output import progress

if TYPE_CHECKING:
    from tocsin.bootstrap import Application
    from tocsin.config import Config
    from tocsin.lake.delta import DeltaLake
    from tocsin.runtimes.embedded.runtime import Stores


_DIRECTORY: Final = "directory of "
_LAST_MS: Final = 253_402_300_799_000  # in the last second of the year 9999


@runtime_checkable
class Verifiable(Protocol):
    """A store that can read all of itself."""

    def verify(self) -> list[str]:
        """What is wrong, in words."""
        ...


def stored_checks(config: Config) -> list[Check]:
    """One check for each store: every row and file against its hash. Reads everything.

    Changes nothing but the list of damaged files in the lake.

    Needs the folder for itself; while a server uses it, that is said instead.
    """
    from tocsin.bootstrap import Application
    from tocsin.errors import StorageUnavailableError, TocsinError
    from tocsin.storage.lock import FolderInUseError

    if not (config.data / "log").is_dir():
        detail = f"nothing is stored in {config.data} yet: name another folder with --data if there should be"
        return [Check(name="stores", ok=True, skipped=True, detail=detail)]
    try:
        application = Application(config)
    except FolderInUseError as error:
        return [Check(name="stores", ok=True, skipped=True, detail=error.detail)]
    except StorageUnavailableError as error:
        remedy = "nothing was checked: mend this, then run it again"
        return [Check(name="stores", ok=False, detail=error.detail, remedy=remedy)]
    except TocsinError as error:
        return [_damaged("stores", [error.detail])]
    try:
        return _checks(application)
    finally:
        application.stop()


def _checks(application: Application) -> list[Check]:
    stores = application.stores
    named: dict[str, object] = {
        "log": stores.log,
        "commit": stores.commits,
        "checkpoints": stores.checkpoints,
        "inbox": stores.inbox,
        "abnormal": stores.findings,
        "access": application.access,
        "replays": application.replays,
        "maintenance": application.windows,
        "blobs": application.blobs,
    }
    named |= {f"{_DIRECTORY}{name}": each for name, each in application.directories.by_tenant.items()}
    checks = []
    with progress("checking", len(named)) as advance:
        for name, store in named.items():
            if isinstance(store, Verifiable):
                problems = store.verify()
                ok = Check(name=name, ok=True, detail="every row matches its hash")
                checks.append(_damaged(name, problems) if problems else ok)
            advance(1)
    from tocsin.lake.delta import DeltaLake

    lake = application.lake
    of_lake = [_check_lake(lake)] if isinstance(lake, DeltaLake) else []
    arrived = check_arrivals(application.log.newest_arrival_ms(), application.clock.now_ms())
    return [*checks, _check_audit(application), _check_ends(stores), _check_ages(stores), arrived, *of_lake]


def _check_audit(application: Application) -> Check:
    """An entry that was altered or taken out breaks the chain from there on."""
    from tocsin.errors import TocsinError

    try:
        found = application.audit_log.verify()
    except TocsinError as error:
        return _damaged("audit", [error.detail])
    if found.broken_at is not None:
        return _damaged("audit", [f"audit.db: entry {found.broken_at} does not fit the chain of hashes"])
    return Check(
        name="audit", ok=True, detail=f"{found.entries} entries in an unbroken chain to {found.head}"
    )


def check_arrivals(newest_ms: int | None, now_ms: int) -> Check:
    """No record arrived later than now: the clock that says so was ahead then, or is behind now."""
    if newest_ms is None:
        return Check(name="arrivals", ok=True, detail="none yet")
    newest, now = (_moment(ms) for ms in (newest_ms, now_ms))
    ahead_s = (newest_ms - now_ms) / 1000
    if ahead_s <= AHEAD_S_MAX:
        return Check(name="arrivals", ok=True, detail=f"the newest record arrived at {newest}")
    detail = f"the newest record arrived at {newest}, {ahead_s:.0f} s after what the clock says now ({now})"
    return Check(
        name="arrivals",
        ok=False,
        detail=detail,
        remedy="the clock was ahead then or is behind now: set it right (NTP) before more is taken in",
    )


def _moment(ms: int) -> str:
    """In words; a time that a flipped bit has put beyond the calendar is its end."""
    return (
        datetime.fromtimestamp(min(max(ms, 0), _LAST_MS) / 1000, UTC)
        .isoformat(timespec="seconds")
        .replace("+00:00", "Z")
    )


def _check_ends(stores: Stores) -> Check:
    """A log cut off at its end looks whole by itself; what was made of its records tells."""
    problems = [
        f"segment files of partition {partition} end at {stores.log.end(partition)}, {known} was {what}"
        for what, positions in (
            ("committed", stores.commits.positions()),
            ("in the lake", stores.lake.positions()),
        )
        for partition, known in positions.items()
        if known > stores.log.end(partition)
    ]
    return (
        _damaged("end of log", problems) if problems else Check(name="end of log", ok=True, detail="complete")
    )


def _check_ages(stores: Stores) -> Check:
    """A commit store that was deleted, or is an old copy, looks whole by itself: states kept since tell."""
    from tocsin.errors import CorruptError
    from tocsin.processing.chunks import header_shard

    committed = stores.commits.positions()
    headers = {header_shard(partition): partition for partition in range(stores.log.partitions)}
    try:
        kept = {
            headers[each.shard]: each.position for each in stores.checkpoints.read() if each.shard in headers
        }
    except CorruptError as error:
        return _damaged("checkpoints", [error.detail])
    problems = [
        f"commit.db knows of {committed.get(partition, 0)} records of partition {partition}, checkpoints.db "
        f"holds a state of {position}"
        for partition, position in kept.items()
        if position > committed.get(partition, 0)
    ]
    if problems:
        return _damaged("ages", [*problems, "commit.db was deleted, or is an older copy"])
    return Check(name="ages", ok=True, detail="no store is older than what was made of it")


def _check_lake(lake: DeltaLake) -> Check:
    from tocsin.lake.upkeep import check, write_down

    snapshot = lake.snapshot()
    total = sum(len(files) for files in snapshot.files.values())
    problems = []
    with progress("checking lake", total) as advance:
        for found in check(snapshot):
            advance(1)
            if found.damage is not None:
                problems.append(f"{found.damage.table}/{found.damage.path} {found.damage.problem}")
    write_down(lake.store)
    if problems:
        return _damaged("lake", problems)
    return Check(name="lake", ok=True, detail=f"{total} files match their hashes")


def _damaged(name: str, problems: list[str]) -> Check:
    first = "; ".join(problems[:3]) + (f"; and {len(problems) - 3} more" if len(problems) > 3 else "")
    remedy = "stop the server, restore the folder from its backup, and find out what the disk does"
    if name == "checkpoints":
        remedy = "delete checkpoints.db: state is rebuilt from log and lake at the next start"
    if name.startswith(_DIRECTORY):
        file = f"directories/{name.removeprefix(_DIRECTORY)}.db"
        remedy = f"delete {file}: the third party is asked again after the next start"
    if name == "lake":
        remedy = "run `tocsin lake repair`: it rebuilds what log or events still have, and names the rest"
    return Check(name=name, ok=False, detail=first, remedy=remedy)
