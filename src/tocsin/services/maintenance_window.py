"""A maintenance window as people ask for it, and the spans of time that it means."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from tocsin.clock import FIRST_MS, LAST_MS
from tocsin.errors import InvalidInputError
from tocsin.processing.zones import load_zone

DAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
DAY_MS: Final = 86_400_000
LASTS_MS_MAX: Final = 366 * DAY_MS
BACK_MS_MAX: Final = 30 * DAY_MS
NAME_CHARACTERS_MAX: Final = 256
WHY_CHARACTERS_MAX: Final = 4000
MINUTES_A_DAY: Final = 1440
_TIME_OF_DAY: Final = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])", re.ASCII)
_FAR_MS: Final = 4_102_444_800_000  # the year 2100, behind which no zone is known


class Covers(StrEnum):
    """What a window names."""

    DEVICE = "device"
    LOCATION = "location"
    APPLICATION = "application"


class State(StrEnum):
    """Of a window, at a moment."""

    WAITS = "waits"
    HOLDS = "holds"
    OVER = "over"


class Weekly(msgspec.Struct, frozen=True, kw_only=True):
    """Days of the week, 0 = Monday, between two minutes of the day in a time zone.

    An end at or before the beginning is on the day after.
    """

    days: tuple[int, ...]
    from_minute: int
    until_minute: int
    zone: str


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be in maintenance, when, and why. Only what repeats may go on without an end.

    Within it nobody is alerted (`no_alert`), or nothing is learnt (`no_learn`), or both.
    """

    covers: Covers
    name: str
    from_ms: int
    until_ms: int | None
    weekly: Weekly | None = None
    why: str = ""
    no_alert: bool = True
    no_learn: bool = False


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be otherwise in a window; UNSET leaves a thing as it is."""

    until_ms: int | msgspec.UnsetType | None = msgspec.UNSET
    why: str | msgspec.UnsetType = msgspec.UNSET
    no_alert: bool | msgspec.UnsetType = msgspec.UNSET
    no_learn: bool | msgspec.UnsetType = msgspec.UNSET


class MaintenanceWindow(msgspec.Struct, frozen=True, kw_only=True):
    """A window as it stands. `revision` is the ETag: it grows when somebody changes it.

    `asked` is what was asked for first, None while nobody has changed it: by that its `key` knows it again.
    `logged` is the revision that the log has, 0 for none, with the spans up to `logged_until_ms` for these
    `members`: 0 while it may have none for some. `number` orders windows by when they were made.
    """

    id: str
    tenant: str
    wanted: Wanted
    actor: str
    key: str
    created_ms: int
    number: int = 0
    revision: int = 1
    ended_ms: int | None = None
    ended_by: str = ""
    logged: int = 0
    logged_until_ms: int = 0
    looked_ms: int = 0
    members: tuple[str, ...] = ()
    asked: Wanted | None = None

    def over_ms(self) -> int | None:
        """When it ends or has ended for good; None while it repeats without an end."""
        ends = [ms for ms in (self.ended_ms, self.wanted.until_ms) if ms is not None]
        return min(ends, default=None)

    def is_over(self, now_ms: int) -> bool:
        """Whether it will not hold any more; once ended, also where the clock was set back since."""
        over_ms = self.over_ms()
        return self.ended_ms is not None or (over_ms is not None and over_ms <= now_ms)


def minute_of(text: str, field: str) -> int:
    """The minute of the day.

    >>> minute_of("22:30", "from")
    1350
    """
    found = _TIME_OF_DAY.fullmatch(text)
    if found is None:
        raise InvalidInputError("A time of day is such as 22:00.", field=field)
    return int(found[1]) * 60 + int(found[2])


def clock_of(minute: int) -> str:
    """The inverse of `minute_of`.

    >>> clock_of(1350)
    '22:30'
    """
    return f"{minute // 60:02}:{minute % 60:02}"


def stamp_of(text: str, zone: str, field: str) -> int:
    """The moment of a local time without a zone, such as browsers send, in ms."""
    try:
        local = datetime.fromisoformat(text)
        if local.tzinfo is not None:
            raise InvalidInputError("Give the time without an offset, in the time zone.", field=field)
        ms = int(local.replace(tzinfo=load_zone(zone)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise InvalidInputError("Give date and time.", field=field) from None
    if not FIRST_MS <= ms <= LAST_MS:
        raise InvalidInputError("This moment has no date in UTC.", field=field)
    return ms


def changed(wanted: Wanted, changes: Changes, now_ms: int) -> Wanted:
    """What is wanted after the changes; InvalidInputError where that makes no sense, naming the field."""
    given = {
        name: value for name, value in msgspec.structs.asdict(changes).items() if value is not msgspec.UNSET
    }
    found = msgspec.structs.replace(wanted, **given)
    _check_asked(found)
    _check_end(found, now_ms)
    return found


def check(wanted: Wanted, now_ms: int) -> None:
    """InvalidInputError for a window that makes no sense, naming the field."""
    if not wanted.name.strip() or len(wanted.name) > NAME_CHARACTERS_MAX:
        raise InvalidInputError(f"Name the {wanted.covers.value}.", field=wanted.covers.value)
    _check_asked(wanted)
    if not now_ms - BACK_MS_MAX <= wanted.from_ms <= now_ms + LASTS_MS_MAX:
        raise InvalidInputError("A window begins at most 30 days back and a year ahead.", field="from")
    _check_end(wanted, now_ms)
    if wanted.weekly is not None:
        _check_weekly(wanted.weekly)
        _check_holds(wanted)


def _check_asked(wanted: Wanted) -> None:
    if len(wanted.why) > WHY_CHARACTERS_MAX or "\0" in wanted.why:
        raise InvalidInputError(f"At most {WHY_CHARACTERS_MAX} characters of text.", field="why")
    if not (wanted.no_alert or wanted.no_learn):
        raise InvalidInputError("A window keeps back alarms, or learning, or both.", field="no_alert")


def _check_end(wanted: Wanted, now_ms: int) -> None:
    if wanted.until_ms is None:
        if wanted.weekly is None:
            raise InvalidInputError("Say until when; only what repeats goes on without an end.", field="to")
    elif wanted.until_ms <= wanted.from_ms:
        raise InvalidInputError("The end must come after the beginning.", field="to")
    elif wanted.until_ms <= now_ms:
        raise InvalidInputError("This window is over already.", field="to")
    elif wanted.weekly is None and wanted.until_ms - wanted.from_ms > LASTS_MS_MAX:
        raise InvalidInputError("A window lasts at most a year.", field="to")


def _check_weekly(weekly: Weekly) -> None:
    if (
        not weekly.days
        or not all(0 <= day < 7 for day in weekly.days)
        or len(set(weekly.days)) < len(weekly.days)
    ):
        raise InvalidInputError("Name each day of the week on which it repeats once.", field="weekly.days")
    if not (0 <= weekly.from_minute < MINUTES_A_DAY and 0 <= weekly.until_minute < MINUTES_A_DAY):
        raise InvalidInputError("A time of day is between 00:00 and 23:59.", field="weekly.from")
    load_zone(weekly.zone)


def _check_holds(wanted: Wanted) -> None:
    """What repeats holds once within any eight days; up to an end before that it may never hold."""
    until_ms = wanted.until_ms
    if until_ms is None or until_ms - wanted.from_ms >= 8 * DAY_MS:
        return
    if not spans(wanted, wanted.from_ms, until_ms):
        raise InvalidInputError(
            "None of these days comes before the end: leave the end out, or name a later one.", field="to"
        )


def spans(wanted: Wanted, from_ms: int, until_ms: int) -> tuple[tuple[int, int], ...]:
    """When the window holds, as far as it touches a span: (first ms, one behind the last), apart, ascending.

    Where clocks are put forward or back, a time of day that there is not, or twice, makes the window longer,
    not shorter.

    >>> days = Weekly(days=(0,), from_minute=60, until_minute=150, zone="Europe/Berlin")
    >>> wanted = Wanted(covers=Covers.DEVICE, name="pump-7", from_ms=0, until_ms=None, weekly=days)
    >>> [(begin // 60_000, end // 60_000) for begin, end in spans(wanted, 0, 7 * DAY_MS)]
    [(5760, 5850)]
    """
    first_ms, last_ms = wanted.from_ms, _FAR_MS if wanted.until_ms is None else wanted.until_ms
    if wanted.weekly is None:
        return ((first_ms, last_ms),) if first_ms < until_ms and last_ms > from_ms else ()
    zone, found = load_zone(wanted.weekly.zone), list[tuple[int, int]]()
    earliest_ms, latest_ms = max(first_ms, from_ms), min(last_ms, until_ms)
    if earliest_ms >= latest_ms:
        return ()
    day = datetime.fromtimestamp(earliest_ms / 1000, UTC).date() - timedelta(days=2)
    while day <= datetime.fromtimestamp(latest_ms / 1000, UTC).date() + timedelta(days=1):
        if day.weekday() in wanted.weekly.days:
            begin, end = _on(day, wanted.weekly, zone)
            begin, end = max(begin, first_ms), min(end, last_ms)
            if begin < latest_ms and end > earliest_ms and begin < end:
                _add(found, begin, end)
        day += timedelta(days=1)
    return tuple(found)


def _add(found: list[tuple[int, int]], begin: int, end: int) -> None:
    if found and begin <= found[-1][1]:
        found[-1] = found[-1][0], max(found[-1][1], end)
    else:
        found.append((begin, end))


def _on(day: date, weekly: Weekly, zone: ZoneInfo) -> tuple[int, int]:
    """The span that begins on a day."""
    later = weekly.until_minute <= weekly.from_minute
    begin = _stamps(day, weekly.from_minute, zone)
    end = _stamps(day + timedelta(days=later), weekly.until_minute, zone)
    return min(begin), max(end)


def _stamps(day: date, minute: int, zone: ZoneInfo) -> tuple[int, int]:
    """What a local time may mean in ms: the same twice, unless clocks are put forward or back."""
    local = time(minute // 60, minute % 60)
    first, second = (datetime.combine(day, local.replace(fold=fold), zone).timestamp() for fold in (0, 1))
    return int(first * 1000), int(second * 1000)
