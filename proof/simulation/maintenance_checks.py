"""What must hold of maintenance: what was answered is kept once, is in the log, and holds as it was asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from proof.compare import plain
from proof.compare.differences import apart
from proof.model import Expected
from proof.model.maintenance import Span
from proof.model.revisions import Revision, histories, is_in
from proof.model.windows import Asked
from proof.simulation.comparing import records_of
from proof.simulation.lives import Lives
from proof.simulation.maintainers import Maintainers, ToldWindow
from proof.simulation.plan import START_MS, TENANT
from proof.simulation.standing import Standing
from proof.simulation.window_checks import Known
from tocsin.bootstrap import Application
from tocsin.control import MaintenanceSet, decode_control
from tocsin.log.abstract import Record, RecordKind
from tocsin.services.maintenance_store import LAST
from tocsin.services.maintenance_window import MaintenanceWindow

_EVERYTHING: Final = 100_000
_HOUR_MS: Final = 3_600_000
_AHEAD_MS: Final = 6 * 24 * _HOUR_MS
_APART_MS: Final = 10  # clocks of processes are whole milliseconds at their start
_STEP_MS: Final = 7 * 60_000  # no day and no hour is a multiple of it
Spans = Sequence[Span]
Kept = Mapping[str, MaintenanceWindow]


class MaintenanceChecks:
    """Looks at a system that was told everything and has started again."""

    def __init__(self, lives: Lives, maintainers: Maintainers) -> None:
        self._lives: Final = lives
        self._findings: Final = lives.findings
        self._maintainers: Final = maintainers

    def remember(self, application: Application) -> None:
        """Before the last cut: the revision that was answered was in the log by then, if of any device."""
        partitions, arrived = range(application.log.partitions), dict[tuple[str, int], int]()
        for record in (each for number in partitions for each in records_of(application, number)):
            for each in _logged([record]):
                at_ms = self._lives.arrivals.get((record.partition, record.offset), 0)
                key = each.window, each.revision
                arrived[key] = min(at_ms, arrived.get(key, at_ms))
        steady = not any(crash.jump_ms for crash in self._lives.plan.crashes)  # else moments have no order
        for told in self._maintainers.told:
            said = told.said
            if said is None or not said["devices"]:
                continue
            came_ms = arrived.get((said["id"], said["version"]))
            if came_ms is None or (steady and came_ms > told.heard_ms + _APART_MS):
                self._findings.add("window lost", f"{told} at {told.heard_ms}, the log has {arrived}")

    def check(self, application: Application, records: Sequence[Record], model: Expected) -> int:
        """Whether every law holds; how many windows there are."""
        if not self._lives.plan.windows:
            return 0
        kept = {each.id: each for each in _kept(application)}
        logged = list(_logged(records))
        self._told(kept)
        become = self._become(kept, logged)
        standing = Standing(self._lives, records, model)
        for each in logged:
            window = kept.get(each.window)
            if window is None or each.revision > window.revision:
                self._findings.add("window of nobody", f"{each}, there is {window}")
                continue
            asked = become[window.id][each.revision - 1].asked if window.id in become else None
            if wrong := standing.otherwise(each, window, asked):
                self._findings.add("other devices", f"{wrong}: {each}, of {window}")
        self._nothing_behind_its_end(logged)
        self._windows(application, model)
        asked_last = {key: way[-1].asked for key, way in become.items()}
        self._holding(application, kept, asked_last, standing, logged)
        return len(kept)

    def _told(self, kept: Kept) -> None:
        """What somebody was told is kept, each request once, and the log has what is kept."""
        keys = [each.key for each in kept.values()]
        begun = {told.key: told for told in self._maintainers.told if told.asked is not None}
        if len(set(keys)) < len(keys) or not set(keys) <= begun.keys():
            self._findings.add("window twice", f"{keys}")
        for told in begun.values():
            found = kept.get(told.window)
            if told.said is not None and (found is None or found.key != told.key):
                self._findings.add("window not kept", f"{told.said} was told, there is {found}")
        for each in kept.values():
            if each.logged != each.revision:
                self._findings.add("window not logged", f"{each}")

    def _become(self, kept: Kept, logged: Sequence[MaintenanceSet]) -> dict[str, Sequence[Revision]]:
        """How each window came to what it is: a history that fits all that was shown, answered and logged."""
        begun = {told.key: told.asked for told in self._maintainers.told if told.asked is not None}
        found: dict[str, Sequence[Revision]] = {}
        for window in kept.values():
            asked, told = begun.get(window.key), self._maintainers.changes_of(window.id)
            if asked is None:
                continue
            shown = [each for each in self._maintainers.seen if each["id"] == window.id]
            known = Known(window, shown, [each for each in logged if each.window == window.id])
            changes = [each.change for each in told if each.change is not None]
            ways = histories(asked, changes, window.revision, known.fits)
            way = next((way for way in ways if _are_in(way, told)), None)
            if way is None:
                what = f"{window} of {asked}, {told} were asked for, {shown} shown, {known.logged} logged"
                self._findings.add("window otherwise", what)
            else:
                found[window.id] = way
        return found

    def _nothing_behind_its_end(self, logged: Sequence[MaintenanceSet]) -> None:
        """What was changed or ended is never set again by what was read before, on any device."""
        newest: dict[tuple[str, str], int] = {}
        for each in logged:
            for device in each.devices:
                before = newest.get((each.window, device), 0)
                if each.revision < before:
                    self._findings.add("logged behind its end", f"{each} for {device}, behind {before}")
                newest[each.window, device] = max(each.revision, before)

    def _windows(self, application: Application, model: Expected) -> None:
        """Spans of each device are those of the model, also in what was restored."""
        found = {device: _joined(spans) for device, spans in _live(application).items()}
        expected = {device: _joined(spans) for device, spans in model.windows.items()}
        of_readings = {device: found.get(device, []) for device in expected}
        for difference in apart("windows", expected, of_readings):
            self._findings.add("windows differ", difference)

    def _holding(
        self,
        application: Application,
        kept: Kept,
        asked: Mapping[str, Asked],
        standing: Standing,
        logged: Sequence[MaintenanceSet],
    ) -> None:
        """From now on the windows of a device are what people want for where it stands and what it runs."""
        found = _live(application)
        decided_ms = [ms for each in kept.values() for ms in (each.created_ms, each.ended_ms or 0)]
        decided_ms += [each.effective_ms for each in logged]
        world_ms = START_MS + round(1000 * self._lives.scheduler.now_s)
        from_ms = max(application.clock.now_ms(), world_ms, *decided_ms)  # the clock may have been set back
        lasting = [each for each in kept.values() if each.ended_ms is None and each.id in asked]
        for device in application.runtime.views.names(TENANT):
            own = {each.id: asked[each.id] for each in lasting if standing.is_of(device, each)}
            spans = found.get((TENANT, device), [])
            for ts in range(from_ms + _HOUR_MS, from_ms + _AHEAD_MS, _STEP_MS):
                holds = {span.window for span in spans if span.holds(ts)}
                if holds != {window for window, each in own.items() if each.holds(ts)}:
                    self._findings.add("holds otherwise", f"{device} at {ts}: {spans}, asked for is {own}")
                    break


def _live(application: Application) -> dict[tuple[str, str], Spans]:
    workers = application.runtime.workers
    return dict(item for worker in workers for item in plain.windows(worker.state))


def _are_in(way: Sequence[Revision], told: Sequence[ToldWindow]) -> bool:
    """Whether the history has each change that was done, by its answer, and a reason for each refusal."""
    for each in told:
        if each.change is None or each.answer is None:
            continue
        if each.said is not None and not is_in(way, each.change, each.said["version"]):
            return False
        if each.answer.status == 412 and each.change.read == way[-1].number:
            return False
    return True


def _kept(application: Application) -> Sequence[MaintenanceWindow]:
    return application.windows.page(TENANT, before=LAST, limit=_EVERYTHING)


def _logged(records: Iterable[Record]) -> Iterator[MaintenanceSet]:
    for record in records:
        control = decode_control(record.payload) if record.kind is RecordKind.CONTROL else None
        if isinstance(control, MaintenanceSet):
            yield control


def _joined(spans: Spans) -> Spans:
    """What touches is one, window by window: a span that is said again may be one, or two."""
    found: list[Span] = []
    for span in sorted(spans, key=lambda span: (span.window, span.first_ms)):
        if found and found[-1].window == span.window and span.first_ms <= found[-1].below_ms:
            below_ms = max(span.below_ms, found[-1].below_ms)
            found[-1] = replace(found[-1], below_ms=below_ms)
        else:
            found.append(span)
    return found
