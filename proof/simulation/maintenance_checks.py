"""What must hold of maintenance: what was answered is kept once, is in the log, and holds as it was asked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final

from proof.compare import plain
from proof.compare.differences import apart
from proof.model import Expected
from proof.model.maintenance import Span
from proof.model.windows import Asked
from proof.simulation.comparing import records_of
from proof.simulation.lives import Lives
from proof.simulation.maintainers import Maintainers, ToldWindow
from proof.simulation.plan import START_MS, TENANT
from tocsin.bootstrap import Application
from tocsin.control import MaintenanceSet, decode_control
from tocsin.log.abstract import Record, RecordKind
from tocsin.services.maintenance_store import LAST
from tocsin.services.maintenance_window import MaintenanceWindow

_EVERYTHING: Final = 100_000
_HOUR_MS: Final = 3_600_000
_AHEAD_MS: Final = 6 * 24 * _HOUR_MS
_STEP_MS: Final = 7 * 60_000  # no day and no hour is a multiple of it
Spans = Sequence[Span]


class MaintenanceChecks:
    """Looks at a system that was told everything and has started again."""

    def __init__(self, lives: Lives, maintainers: Maintainers) -> None:
        self._lives: Final = lives
        self._findings: Final = lives.findings
        self._maintainers: Final = maintainers

    def remember(self, application: Application) -> None:
        """Before the last cut: what was answered is in the log, as an end or as what was asked for."""
        partitions = range(application.log.partitions)
        logged = [each for number in partitions for each in _logged(records_of(application, number))]
        for told in self._maintainers.told:
            said = told.said
            if said is not None and not any(_is_about(each, told, said["id"]) for each in logged):
                self._findings.add("window lost", f"{said} was told, the log has {logged}")

    def check(self, application: Application, records: Sequence[Record], model: Expected) -> int:
        """Whether every law holds; how many windows there are."""
        if not self._lives.plan.windows:
            return 0
        kept = {each.id: each for each in _kept(application)}
        asked = {told.key: told.asked for told in self._maintainers.told if told.asked is not None}
        self._told(kept, asked)
        for record in records:
            for each in _logged([record]):
                self._as_asked(each, kept.get(each.window), asked)
        self._nothing_behind_its_end(list(_logged(records)))
        self._holding(application, model, kept, asked)
        return len(kept)

    def _told(self, kept: Mapping[str, MaintenanceWindow], asked: Mapping[str, Asked]) -> None:
        """What somebody was told is kept, each request once, and the log has what is kept."""
        keys = [each.key for each in kept.values()]
        if len(set(keys)) < len(keys) or not set(keys) <= asked.keys():
            self._findings.add("window twice", f"{keys}")
        for told in self._maintainers.told:
            said = told.said
            if said is None:
                continue
            found = kept.get(said["id"])
            if found is None or (told.asked is not None and found.key != told.key):
                self._findings.add("window not kept", f"{said} was told, there is {found}")
            elif told.asked is None and found.ended_ms is None:
                self._findings.add("window not ended", f"{said} was told, there is {found}")
        for each in kept.values():
            if each.logged != each.revision:
                self._findings.add("window not logged", f"{each}")

    def _as_asked(
        self, record: MaintenanceSet, window: MaintenanceWindow | None, asked: Mapping[str, Asked]
    ) -> None:
        """A record has the device that was named, and spans at the times that were asked for alone."""
        wanted = asked.get(window.key) if window is not None else None
        if window is None or wanted is None or record.revision > window.revision:
            self._findings.add("window of nobody", f"{record}, there is {window}")
            return
        said = record.devices, record.no_alert, record.no_learn
        if said != ((window.wanted.name,), wanted.no_alert, wanted.no_learn):
            self._findings.add("other window", f"{record}, of {window}, asked for is {wanted}")
        if record.revision == window.revision and window.ended_ms is not None:
            if record.spans:
                self._findings.add("ended and holds", f"{record}, of {window}")
            return
        spans = [Span(first, below, "", no_alert=True, no_learn=True) for first, below in record.spans]
        edges = [ms for span in record.spans for first in span for ms in (first - 1, first)]
        from_ms = record.effective_ms
        for ts in (*range(from_ms, from_ms + _AHEAD_MS, _STEP_MS), *edges):
            if from_ms <= ts and _holds(spans, ts) != wanted.holds(ts):
                self._findings.add("other spans", f"{record}, of {window}, at {ts}")
                return

    def _nothing_behind_its_end(self, logged: Sequence[MaintenanceSet]) -> None:
        """What was ended is never set again by what was read before."""
        newest: dict[str, int] = {}
        for each in logged:
            if each.revision < newest.get(each.window, 0):
                self._findings.add("logged behind its end", f"{each}")
            newest[each.window] = max(each.revision, newest.get(each.window, 0))

    def _holding(
        self,
        application: Application,
        model: Expected,
        kept: Mapping[str, MaintenanceWindow],
        asked: Mapping[str, Asked],
    ) -> None:
        """Spans are those of the model, also in what was restored; from now on they are what people want."""
        live = dict(item for worker in application.runtime.workers for item in plain.windows(worker.state))
        found = {device: _joined(spans) for device, spans in live.items()}
        expected = {device: _joined(spans) for device, spans in model.windows.items()}
        of_readings = {device: found.get(device, []) for device in expected}
        for difference in apart("windows", expected, of_readings):
            self._findings.add("windows differ", difference)
        decided_ms = [ms for each in kept.values() for ms in (each.created_ms, each.ended_ms or 0)]
        world_ms = START_MS + round(1000 * self._lives.scheduler.now_s)
        from_ms = max(application.clock.now_ms(), world_ms, *decided_ms)  # the clock may have been set back
        for device in application.runtime.views.names(TENANT):
            lasting = [each for each in kept.values() if each.ended_ms is None]
            own = [asked[each.key] for each in lasting if each.wanted.name == device]
            spans = found.get((TENANT, device), [])
            for ts in range(from_ms + _HOUR_MS, from_ms + _AHEAD_MS, _STEP_MS):
                if _holds(spans, ts) != any(each.holds(ts) for each in own):
                    self._findings.add("holds otherwise", f"{device} at {ts}: {spans}, asked for is {own}")
                    break


def _kept(application: Application) -> Sequence[MaintenanceWindow]:
    return application.windows.page(TENANT, before=LAST, limit=_EVERYTHING)


def _logged(records: Iterable[Record]) -> Iterator[MaintenanceSet]:
    for record in records:
        control = decode_control(record.payload) if record.kind is RecordKind.CONTROL else None
        if isinstance(control, MaintenanceSet):
            yield control


def _is_about(record: MaintenanceSet, told: ToldWindow, window: str) -> bool:
    """Of an end, that it holds no more."""
    return record.window == window and (told.asked is not None or not record.spans)


def _holds(spans: Spans, ts: int) -> bool:
    return any(span.holds(ts) for span in spans)


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
