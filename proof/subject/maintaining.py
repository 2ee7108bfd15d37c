"""Maintenance windows that somebody gives devices of a Tocsin in this process, each once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from typing import Final

from proof.subject.acting import Deed, until_done
from proof.subject.answers import Answers, BrokenPromiseError
from proof.subject.logged import logged_decisions
from tocsin.access.principal import Principal
from tocsin.bootstrap import Application
from tocsin.control import MaintenanceSet
from tocsin.services.maintenance_window import DAY_MS, Covers, MaintenanceWindow, Wanted, Weekly

_DEVICES: Final = 2
_NIGHTS: Final = Weekly(days=(5, 6), from_minute=1320, until_minute=120, zone="Europe/Berlin")
_ONCE, _EACH_WEEK, _END = "once", "weekly", "end"


def maintain(application: Application, person: Principal, answers: Answers) -> None:
    """Have a few devices in maintenance, once and each week, and end what is once; blocks.

    For a Tocsin that has settled. No window reaches the stamps that the devices have sent.
    BrokenPromiseError where a window is given twice, or what was answered before is not kept or not logged.
    """
    begins_ms = application.clock.now_ms() // (10 * DAY_MS) * 10 * DAY_MS  # a later life asks for the same
    devices = [each.device for each in application.runtime.views.devices(person.tenant, limit=_DEVICES)]
    deeds = [Deed(f"{device}/{begins_ms}", kind) for device in devices for kind in (_ONCE, _EACH_WEEK, _END)]
    check_kept(application, person, deeds, answers)
    given: dict[str, MaintenanceWindow] = {}
    for deed in deeds:
        device = deed.producer.partition("/")[0]
        if deed.sequence == _END:
            end = partial(application.services.maintenance.end, person, given[device].id, revision=None)
            window = until_done(application, deed.key, end)
        else:
            wanted = _wanted(device, begins_ms, each_week=deed.sequence == _EACH_WEEK)
            begin = partial(application.services.maintenance.begin, person, wanted, key=deed.key)
            window, repeated = until_done(application, deed.key, begin)
            if answers.has(deed) and not repeated:
                raise BrokenPromiseError(f"{deed.key} was given, and is given again: {window}")
            if deed.sequence == _ONCE:
                given[device] = window
        ended_ms = window.ended_ms if deed.sequence == _END else None
        answers.note(deed, json.dumps({"window": window.id, "ended_ms": ended_ms}))


def _wanted(device: str, begins_ms: int, *, each_week: bool) -> Wanted:
    return Wanted(
        covers=Covers.DEVICE,
        name=device,
        from_ms=begins_ms,
        until_ms=None if each_week else begins_ms + 60 * DAY_MS,
        weekly=_NIGHTS if each_week else None,
    )


def check_kept(application: Application, person: Principal, deeds: Sequence[Deed], answers: Answers) -> None:
    """What was answered is in its file and in the log, before anybody asks again."""
    logged = list(logged_decisions(application, MaintenanceSet))
    for deed in deeds:
        told = answers.told(deed)
        if told is None:
            continue
        said = json.loads(told)
        window = application.services.maintenance.one(person, said["window"])
        ended_ms = said["ended_ms"]
        if ended_ms is not None and window.ended_ms != ended_ms:
            raise BrokenPromiseError(f"{deed.key} was ended at {ended_ms}, now at {window.ended_ms}")
        own = [each for each in logged if each.window == window.id]
        if not any(bool(each.spans) is (ended_ms is None) for each in own):
            raise BrokenPromiseError(f"{deed.key} was answered, and the log has of {window.id}: {own}")
