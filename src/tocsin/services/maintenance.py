"""Maintenance: what people say is being worked on, so that nobody is alerted by it, or nothing learnt."""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import msgspec

from tocsin import threads
from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.clock import Clock
from tocsin.control import MaintenanceSet, encode_control
from tocsin.directory.abstract import Directory, Freshness, Ownership
from tocsin.errors import ConflictError, InvalidInputError, NotFoundError, TocsinError
from tocsin.log.abstract import Append, Log, Part, RecordKind
from tocsin.observability.logging import get_logger
from tocsin.services.audit import AuditTrail
from tocsin.services.devices import NO_DEVICE, Fleet
from tocsin.services.maintenance_store import LAST, MaintenanceStore
from tocsin.services.maintenance_window import (
    DAY_MS,
    Changes,
    Covers,
    MaintenanceWindow,
    State,
    Wanted,
    check,
    spans,
)
from tocsin.services.sight import Sight
from tocsin.sharding import partition_of, shard_of

PAGE_MAX: Final = 200
WINDOWS_MAX: Final = 1_000
"""Of a tenant, those that are not over."""

OF_A_DEVICE_MAX: Final = 15
"""What repeats each day has at most 17 spans in what is logged ahead, and a device has room for 256."""

MEMBERS_MAX: Final = 10_000
HORIZON_MS: Final = 14 * DAY_MS
"""How far ahead spans of what repeats are logged; more are, when half of it has passed."""

APPLICATION_LOOK_MS: Final = 3_600_000
"""How often the devices of an application are gathered anew; those of a location are each minute."""

_DEVICES_PER_RECORD: Final = 500
_ROUND_MAX: Final = 200
_NO_WINDOW: Final = "There is no such maintenance window."
Spans = tuple[tuple[int, int], ...]
_Named = tuple[str, Covers, str]
_log = get_logger("maintenance")


@dataclass(frozen=True, slots=True)
class _Looks:
    """What one round has found: the members of what windows name, None for too many, and where those stand
    who are missing.
    """

    members: dict[_Named, tuple[str, ...] | None] = field(default_factory=dict)
    missing: dict[tuple[str, str], Ownership] = field(default_factory=dict)


class Maintenances:
    """Within the principal's tenant. A window is kept first and then logged; what a crash leaves between, the
    next round logs. To log a window twice changes nothing.
    """

    def __init__(
        self,
        log: Log,
        store: MaintenanceStore,
        fleet: Fleet,
        directories: Mapping[str, Directory],
        audit: AuditTrail,
        clock: Clock,
        sight: Sight,
    ) -> None:
        self._store: Final = store
        self._log: Final = log
        self._fleet: Final = fleet
        self._directories: Final = directories
        self._audit: Final = audit
        self._clock: Final = clock
        self._sight: Final = sight
        self._turn: Final = threads.lock()

    def begin(self, principal: Principal, wanted: Wanted, *, key: str = "") -> tuple[MaintenanceWindow, bool]:
        """Make a window, durable and logged on return; with whether it had been made under this key before.

        It acts on what its devices send from then on. NotFoundError for a device, location or application
        that nobody knows or that is not seen. What was made before is answered whatever has become of it.
        """
        self._require(principal, wanted.covers)
        now_ms = self._clock.now_ms()
        actor = principal.person or principal.key_id
        before = self._store.of_key(principal.tenant, actor, key)
        if before is None:
            check(wanted, now_ms)
        if wanted.covers is Covers.DEVICE:
            self._sight.require(principal, wanted.name, NO_DEVICE)
        members = self._members(principal.tenant, wanted)
        if before is None:
            self._require_room(principal.tenant, _required(members, wanted.covers))
        members = members or ()
        made, repeated = self._store.add(
            MaintenanceWindow(
                id=f"mw_{secrets.token_hex(8)}",
                tenant=principal.tenant,
                wanted=wanted,
                actor=actor,
                key=key,
                created_ms=now_ms,
                looked_ms=now_ms,
                members=members,
            )
        )
        made = self._refresh(made, joining=members)
        if not repeated:
            self._audit.did(principal, "maintenance.begin", made.id)
        return made, repeated

    def end(self, principal: Principal, window_id: str, *, revision: int | None) -> MaintenanceWindow:
        """Let a window hold no longer; durable and logged on return. Again changes nothing.

        NotFoundError, PreconditionFailedError where it has changed, ConflictError where its time is over.
        """
        require(principal, Permission.HANDLE)
        known = self.one(principal, window_id)
        self._require(principal, known.wanted.covers)
        actor = principal.person or principal.key_id
        ended = self._store.end(
            principal.tenant, window_id, revision=revision, at_ms=self._clock.now_ms(), actor=actor
        )
        ended = self._refresh(ended)
        self._audit.did(principal, "maintenance.end", ended.id)
        return ended

    def change(
        self, principal: Principal, window_id: str, changes: Changes, *, revision: int | None
    ) -> MaintenanceWindow:
        """Have a window end at another time, keep back something else, or say why otherwise.

        Durable and logged on return. It acts on what its devices send from then on. Again changes nothing.

        NotFoundError, PreconditionFailedError where it has changed, ConflictError where it is over.
        """
        require(principal, Permission.HANDLE)
        known = self.one(principal, window_id)
        self._require(principal, known.wanted.covers)
        now_ms = self._clock.now_ms()
        told = self._store.change(principal.tenant, window_id, changes, revision=revision, at_ms=now_ms)
        told = self._refresh(told)
        if told.revision != known.revision:
            self._audit.did(principal, "maintenance.change", told.id)
        return told

    def one(self, principal: Principal, window_id: str) -> MaintenanceWindow:
        """One window; NotFoundError if there is none, or none of a device that is seen."""
        require(principal, Permission.READ)
        found = _as_seen(self._store.one(principal.tenant, window_id), self._sight.devices(principal))
        if found is None:
            raise NotFoundError(_NO_WINDOW)
        return found

    def page(
        self, principal: Principal, *, before: int | None, limit: int
    ) -> tuple[Sequence[MaintenanceWindow], int | None]:
        """Windows, newest first, and the number to go on before, None at the end."""
        require(principal, Permission.READ)
        limit, own = min(limit, PAGE_MAX), self._sight.devices(principal)
        found: list[MaintenanceWindow] = []
        for window in self._newest_first(principal.tenant, LAST if before is None else before):
            seen = _as_seen(window, own)
            if seen is None:
                continue
            if len(found) == limit:
                return found, found[-1].number
            found.append(seen)
        return found, None

    def of_device(self, principal: Principal, device: str) -> Sequence[MaintenanceWindow]:
        """The windows of a device that are not over, by when they were made."""
        require(principal, Permission.READ)
        self._sight.require(principal, device, NO_DEVICE)
        now_ms = self._clock.now_ms()
        listed = self._sight.devices(principal)
        own = None if listed is None else {*listed, device}  # which a list may not have yet
        windows = self._store.unsettled_of(principal.tenant, limit=WINDOWS_MAX)
        lasting = (each for each in windows if device in each.members and not each.is_over(now_ms))
        return [seen for each in lasting if (seen := _as_seen(each, own)) is not None]

    def state(self, window: MaintenanceWindow) -> State:
        """Whether it holds now."""
        now_ms = self._clock.now_ms()
        if window.is_over(now_ms):
            return State.OVER
        return State.HOLDS if spans(window.wanted, now_ms, now_ms + 1) else State.WAITS

    def refresh(self) -> None:
        """Log what is due: more spans of what repeats, devices that came or went, what a crash left."""
        after, looks = 0, _Looks()
        while found := self._store.unsettled(after=after, limit=_ROUND_MAX):
            for window in found:
                after = window.number
                try:
                    self._refresh(window, self._members_now(window, looks))
                except TocsinError as error:
                    _log.warning("maintenance_not_logged", window=window.id, error=error.detail)

    def _require_room(self, tenant: str, members: Collection[str]) -> None:
        """ConflictError where the tenant, or one of these devices, has as many windows as are kept apart."""
        lasting = self._store.unsettled_of(tenant, limit=WINDOWS_MAX)
        if len(lasting) >= WINDOWS_MAX:
            raise ConflictError(f"There are {WINDOWS_MAX:,} windows that are not over: end some.")
        covered = Counter(name for window in lasting for name in window.members)
        full = next((name for name in members if covered[name] >= OF_A_DEVICE_MAX), None)
        if full is not None:
            raise ConflictError(f"{full} has {OF_A_DEVICE_MAX} windows that are not over: end some.")

    def _newest_first(self, tenant: str, before: int) -> Iterator[MaintenanceWindow]:
        while found := self._store.page(tenant, before=before, limit=PAGE_MAX):
            yield from found
            before = found[-1].number

    def _require(self, principal: Principal, covers: Covers) -> None:
        """Who may act at a device may have it left alone; other windows reach devices of colleagues."""
        require(principal, Permission.HANDLE if covers is Covers.DEVICE else Permission.OPERATE)

    def _members(self, tenant: str, wanted: Wanted) -> tuple[str, ...] | None:
        """The devices of a window that have sent something, as known now; None for more than it covers."""
        match wanted.covers:
            case Covers.DEVICE:
                names = [wanted.name]
            case Covers.LOCATION:
                names = self._at(tenant, wanted.name)
            case Covers.APPLICATION:
                names = self._running(tenant, wanted.name)
        if len(names) > MEMBERS_MAX:
            return None
        return tuple(sorted(name for name in names if self._is_known(tenant, name)))

    def _members_now(self, window: MaintenanceWindow, looks: _Looks) -> tuple[str, ...] | None:
        """Those of a window that goes on; None for those it has. What has outgrown it leaves it those it has.

        `looks` is what was found in this round: many windows of one hall cost one look at its devices.
        """
        now_ms, covers = self._clock.now_ms(), window.wanted.covers
        if window.is_over(now_ms) or (covers is Covers.DEVICE and window.members):
            return None
        if covers is Covers.APPLICATION and now_ms - window.looked_ms < APPLICATION_LOOK_MS:
            return None
        named = window.tenant, covers, window.wanted.name
        if named not in looks.members:
            looks.members[named] = self._members(window.tenant, window.wanted)
        return self._with_unknown(window, looks)

    def _with_unknown(self, window: MaintenanceWindow, looks: _Looks) -> tuple[str, ...]:
        """Those who were found, and those it has of a location of whom nobody can say where they stand."""
        found = looks.members[window.tenant, window.wanted.covers, window.wanted.name]
        if found is None:
            _log.warning("maintenance_of_too_many", window=window.id, devices_max=MEMBERS_MAX)
            return window.members
        if window.wanted.covers is not Covers.LOCATION:
            return found
        missing = set(window.members) - set(found)
        return tuple(
            sorted([*found, *(name for name in missing if not self._is_elsewhere(window, name, looks))])
        )

    def _is_elsewhere(self, window: MaintenanceWindow, device: str, looks: _Looks) -> bool:
        """Whether the directory says so; it may be that it can't say any more where the device stands."""
        directory = self._directories.get(window.tenant)
        if directory is None:
            return False
        named = window.tenant, device
        if named not in looks.missing:
            looks.missing[named] = directory.ownership(device)
        found = looks.missing[named]
        return found.freshness is not Freshness.UNKNOWN and found.location != window.wanted.name

    def _is_known(self, tenant: str, device: str) -> bool:
        return self._fleet.device(tenant, device) is not None

    def _at(self, tenant: str, location: str) -> list[str]:
        directory = self._directories.get(tenant)
        if directory is None:
            return []
        found = directory.devices_at(location, after="", limit=MEMBERS_MAX + 1)
        return [] if found.freshness is Freshness.UNKNOWN else [each.device for each in found.devices]

    def _running(self, tenant: str, application: str) -> list[str]:
        names, after = list[str](), ""
        while found := self._fleet.devices(tenant, after=after, limit=PAGE_MAX):
            names += [each.device for each in found if each.application == application]
            after = found[-1].device
        return names

    def _refresh(
        self,
        window: MaintenanceWindow,
        members: tuple[str, ...] | None = None,
        *,
        joining: tuple[str, ...] = (),
    ) -> MaintenanceWindow:
        """Log the window, as it is now, where the log has another one, and note that; as the log has it.

        One at a time: what was read before somebody ended it is never logged behind its end, and who joined
        since then stays. `members`: None for those it has, of whom nobody has looked who they are now. Once
        it is over, nobody joins or leaves.
        """
        with self._turn:
            window = self._store.one(window.tenant, window.id)
            now_ms = self._clock.now_ms()
            if window.is_over(now_ms):
                return self._refresh_alone(window, window.members, looked_ms=now_ms)
            found = window.members if members is None else members
            looked = members is not None or window.wanted.covers is Covers.DEVICE
            return self._refresh_alone(
                window,
                tuple(sorted({*found, *joining})),
                looked_ms=now_ms if looked else window.looked_ms,
            )

    def _refresh_alone(
        self, window: MaintenanceWindow, members: tuple[str, ...], *, looked_ms: int
    ) -> MaintenanceWindow:
        now_ms = self._clock.now_ms()
        until_ms = min(now_ms + HORIZON_MS, window.wanted.until_ms or LAST)
        over = window.is_over(now_ms)
        short = not over and window.logged_until_ms < min(until_ms, now_ms + HORIZON_MS // 2)
        if window.logged != window.revision or short or members != window.members:
            from_ms = now_ms if window.logged else window.wanted.from_ms
            found = () if window.ended_ms is not None else spans(window.wanted, from_ms, now_ms + HORIZON_MS)
            self._expect(window, members)
            self._append(window, members, from_ms, found)
            gone = tuple(name for name in window.members if name not in set(members))
            self._append(window, gone, now_ms, ())
        elif not over and now_ms - window.looked_ms < APPLICATION_LOOK_MS:
            return window
        else:
            until_ms = window.logged_until_ms
        noted = msgspec.structs.replace(
            window, logged=window.revision, logged_until_ms=until_ms, looked_ms=looked_ms, members=members
        )
        self._store.logged(noted, settled=over)
        return noted

    def _expect(self, window: MaintenanceWindow, members: tuple[str, ...]) -> None:
        """Note who joins before the log has it: a crash would leave it with devices that nobody lets go."""
        union = {*window.members, *members}
        if len(union) > len(window.members):
            expected = msgspec.structs.replace(window, members=tuple(sorted(union)), logged_until_ms=0)
            self._store.logged(expected, settled=False)

    def _append(
        self,
        window: MaintenanceWindow,
        devices: Sequence[str],
        from_ms: int,
        found: Spans,
    ) -> None:
        """Log the window for these devices, some in each record of their partition; durable on return."""
        by_partition: dict[int, list[str]] = {}
        for name in devices:
            partition = partition_of(shard_of(window.tenant, name), self._log.partitions)
            by_partition.setdefault(partition, []).append(name)
        parts = tuple(
            Part(partition, RecordKind.CONTROL, 1, encode_control(self._record(window, some, from_ms, found)))
            for partition, names in sorted(by_partition.items())
            for some in _some(names)
        )
        if parts:
            append = Append(tenant=window.tenant, arrival_ms=self._clock.now_ms(), parts=parts)
            self._log.submit(append).result()

    def _record(
        self,
        window: MaintenanceWindow,
        devices: Sequence[str],
        from_ms: int,
        found: tuple[tuple[int, int], ...],
    ) -> MaintenanceSet:
        return MaintenanceSet(
            tenant=window.tenant,
            window=window.id,
            revision=window.revision,
            effective_ms=from_ms,
            devices=tuple(devices),
            spans=found,
            no_alert=window.wanted.no_alert,
            no_learn=window.wanted.no_learn,
        )


def _as_seen(window: MaintenanceWindow, own: Collection[str] | None) -> MaintenanceWindow | None:
    """The window of those of its devices that are seen, None standing for all; None where it has none."""
    if own is None:
        return window
    members = tuple(name for name in window.members if name in own)
    return msgspec.structs.replace(window, members=members) if members else None


def _some(names: Sequence[str]) -> Iterator[Sequence[str]]:
    for first in range(0, len(names), _DEVICES_PER_RECORD):
        yield names[first : first + _DEVICES_PER_RECORD]


def _required(members: tuple[str, ...] | None, covers: Covers) -> tuple[str, ...]:
    """NotFoundError where there are none, InvalidInputError where there are too many."""
    if members is None:
        raise InvalidInputError(f"A window covers at most {MEMBERS_MAX:,} devices.", field=covers.value)
    if not members:
        raise NotFoundError(_nobody(covers))
    return members


def _nobody(covers: Covers) -> str:
    if covers is Covers.DEVICE:
        return NO_DEVICE
    return f"No device that has sent something is known of this {covers.value}."
