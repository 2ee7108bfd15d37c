"""Maintenance: what is being worked on, and the forms that begin and end it."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tocsin.access.permissions import Permission, allows
from tocsin.errors import (
    ConflictError,
    ForbiddenError,
    InvalidInputError,
    NotFoundError,
    PreconditionFailedError,
)
from tocsin.services.bundle import Services
from tocsin.services.episodes import EpisodeQuery
from tocsin.services.maintenance_window import (
    DAYS,
    Changes,
    Covers,
    MaintenanceWindow,
    State,
    Wanted,
    Weekly,
    clock_of,
    minute_of,
    stamp_of,
)
from tocsin.services.sessions import csrf_matches
from tocsin.web.acting import version_of
from tocsin.web.forms import read_form
from tocsin.web.rendering import page
from tocsin.web.visitor import Visitor, guarded

SHOWN_MAX: Final = 100
_FIELDS_MAX: Final = 24
_FORM_BYTES_MAX: Final = 64 << 10
_HOUR_MS: Final = 3_600_000
KEEPS: Final = {
    "alarms": (True, False),
    "both": (True, True),
    "learning": (False, True),
}
"""What a window keeps back, as the form names it: whether alarms, and whether learning."""

_TOLD: Final = {
    "alarms": "nobody is alerted",
    "both": "nobody is alerted, nothing is learnt",
    "learning": "nothing is learnt",
}


def maintenance(request: Request, visitor: Visitor) -> Response:
    """What is in maintenance, and the form; `?device=` fills a name in, `?window=` has what it kept back."""
    named = {each.value: request.query_params[each.value] for each in Covers if each in request.query_params}
    covers, name = next(iter(named.items()), (Covers.DEVICE.value, ""))
    kept = _kept_by(visitor, request.query_params["window"]) if "window" in request.query_params else None
    return _page(visitor, {"covers": covers, "name": name}, kept=kept)


def maintenance_form(services: Services) -> Callable[[Request], Awaitable[Response]]:
    """Begins a window or ends one and shows the page; with the reason, if it could not be done."""

    async def answer(request: Request) -> Response:
        form = await read_form(request, _FORM_BYTES_MAX, fields_max=_FIELDS_MAX)

        def run(_: Request, visitor: Visitor) -> Response:
            return _answered(form, visitor)

        return await run_in_threadpool(guarded(services, run), request)

    return answer


def told(visitor: Visitor, window: MaintenanceWindow) -> dict[str, Any]:
    """What pages say of a window."""
    state, kept = visitor.services.maintenance.state(window), keeps(window.wanted)
    return {
        "window": window,
        "state": state,
        "each": _each(window),
        "keeps": kept,
        "effects": _TOLD[kept],
        "to": _to(window),
    }


def _kept_by(visitor: Visitor, window_id: str) -> dict[str, Any]:
    """What a window has kept back, as far as a page shows it."""
    services, principal = visitor.services, visitor.principal
    window = services.maintenance.one(principal, window_id)
    query = EpisodeQuery(
        device=window.wanted.name if window.wanted.covers is Covers.DEVICE else None,
        from_ms=window.wanted.from_ms,
        to_ms=window.over_ms(),
        limit=SHOWN_MAX,
        window=window.id,
    )
    found, following = services.episodes.page(principal, query)
    episodes = sorted(found, key=lambda each: each.started_ms, reverse=True)
    return told(visitor, window) | {"episodes": episodes, "more": following is not None}


def keeps(wanted: Wanted) -> str:
    """The key of KEEPS that says what a window keeps back."""
    return next(name for name, asked in KEEPS.items() if asked == (wanted.no_alert, wanted.no_learn))


def _answered(form: Mapping[str, str], visitor: Visitor) -> Response:
    if not csrf_matches(visitor.session, form.get("csrf")):
        raise ForbiddenError("This form is not from one of these pages.")
    try:
        if form.get("do") == "end":
            revision = version_of(form.get("version", ""))
            visitor.services.maintenance.end(visitor.principal, form.get("window", ""), revision=revision)
        elif form.get("do") == "change":
            _change(form, visitor)
        else:
            visitor.services.maintenance.begin(visitor.principal, _wanted(form), key=form.get("key", ""))
    except (ConflictError, InvalidInputError, NotFoundError, PreconditionFailedError) as error:
        return _page(visitor, form, mistake=error.detail, wrong=error.field or "", status=error.status)
    return RedirectResponse("/maintenance", 303)


def _change(form: Mapping[str, str], visitor: Visitor) -> None:
    """A field knows minutes alone: an end that stands in it as it was shown stays as it is, to the ms."""
    services, window, revision = visitor.services, form.get("window", ""), version_of(form.get("version", ""))
    no_alert, no_learn = _kept_back(form)
    changes = Changes(why=_reason(form), no_alert=no_alert, no_learn=no_learn)
    to = form.get("to", "")
    if to != _to(services.maintenance.one(visitor.principal, window)):
        until_ms = stamp_of(to, "UTC", "to") if to else None
        changes = msgspec.structs.replace(changes, until_ms=until_ms)
    services.maintenance.change(visitor.principal, window, changes, revision=revision)


def _reason(form: Mapping[str, str]) -> str:
    return form.get("why", "").strip().replace("\r\n", "\n")


def _wanted(form: Mapping[str, str]) -> Wanted:
    zone = form.get("zone", "").strip() or "UTC"
    days = tuple(number for number, day in enumerate(DAYS) if day in form)
    weekly = None
    if days:
        weekly = Weekly(
            days=days,
            from_minute=minute_of(form.get("daily_from", ""), "daily_from"),
            until_minute=minute_of(form.get("daily_to", ""), "daily_to"),
            zone=zone,
        )
    try:
        covers = Covers(form.get("covers", ""))
    except ValueError:
        raise InvalidInputError("Say what is worked on.", field="covers") from None
    no_alert, no_learn = _kept_back(form)
    return Wanted(
        covers=covers,
        name=form.get("name", "").strip(),
        from_ms=stamp_of(form.get("from", ""), zone, "from"),
        until_ms=stamp_of(form["to"], zone, "to") if form.get("to") else None,
        weekly=weekly,
        why=_reason(form),
        no_alert=no_alert,
        no_learn=no_learn,
    )


def _kept_back(form: Mapping[str, str]) -> tuple[bool, bool]:
    name = form.get("keeps", "alarms")
    if name not in KEEPS:
        raise InvalidInputError("Say what the window keeps back.", field="keeps")
    return KEEPS[name]


def _page(
    visitor: Visitor,
    said: Mapping[str, str],
    *,
    kept: Mapping[str, Any] | None = None,
    mistake: str = "",
    wrong: str = "",
    status: int = 200,
) -> Response:
    services, principal = visitor.services, visitor.principal
    said = said if said.get("do") != "change" else {}
    found, older = services.maintenance.page(principal, before=None, limit=SHOWN_MAX)
    windows = [told(visitor, each) for each in found]
    now_ms = services.clock.now_ms()
    usual = {"zone": "UTC", "from": _local(now_ms), "to": _local(now_ms + 2 * _HOUR_MS)}
    usual |= {"daily_from": "22:00", "daily_to": "02:00", "why": "", "name": "", "covers": "device"}
    usual["keeps"] = "alarms"
    may = allows(principal, Permission.HANDLE)
    return page(
        "maintenance.html",
        status,
        **visitor.frame("maintenance"),
        windows=[each for each in windows if each["state"] is not State.OVER],
        over=[each for each in windows if each["state"] is State.OVER],
        more=older is not None,
        days=DAYS,
        keeps=_TOLD,
        kept=kept,
        said=usual | dict(said),
        covers=[each.value for each in Covers] if allows(principal, Permission.OPERATE) else ["device"],
        may=may,
        mistake=mistake,
        wrong=wrong,
        key=secrets.token_urlsafe(12),
    )


def _to(window: MaintenanceWindow) -> str:
    """Its end as the form has it."""
    return "" if window.wanted.until_ms is None else _local(window.wanted.until_ms)


def _local(ms: int) -> str:
    moment = datetime.fromtimestamp(ms // 60_000 * 60, UTC).replace(tzinfo=None)
    return moment.isoformat(timespec="minutes")


def _each(window: MaintenanceWindow) -> str:
    """When it repeats, in words; nothing for what holds once."""
    weekly = window.wanted.weekly
    if weekly is None:
        return ""
    days = ", ".join(DAYS[day].capitalize() for day in weekly.days)
    return f"{days}, {clock_of(weekly.from_minute)} to {clock_of(weekly.until_minute)} {weekly.zone}"
