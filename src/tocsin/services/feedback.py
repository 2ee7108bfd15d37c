"""Feedback that acts: what a person says of an anomaly changes how its series are judged from here on."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import xxhash

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.commit.abstract import CommitStore
from tocsin.control import STEPS_MAX, FeedbackGiven, FeedbackKind, SeriesName, encode_control
from tocsin.detectors.registry import detectors
from tocsin.errors import ConflictError, InvalidInputError
from tocsin.inbox.abstract import Anomaly
from tocsin.inbox.action import ActionKind, Recorded, Target
from tocsin.inbox.handling import gone
from tocsin.log.abstract import Append, Log, Part, RecordKind
from tocsin.model import Episode, FeedbackActed
from tocsin.processing.episodes import DEVICE_DETECTOR, DEVICE_REASONS
from tocsin.processing.preview import Difference
from tocsin.services.actions import Actions, Asked
from tocsin.services.anomalies import Anomalies
from tocsin.services.places import Places
from tocsin.services.series import MovedLimit
from tocsin.sharding import partition_of, shard_of

_PRODUCER: Final = "feedback"  # those of events hold a slash
DAYS: Final = 30
"""How far back a preview looks."""
PREVIEWS_MAX: Final = 4
"""How many previews are worked on or wait for another one; a tenant alone has half of them."""
_UNRECORDED: Final = -1  # the number of an action that nobody has done yet
_OF_SPANS: Final = frozenset({FeedbackKind.CONFIRMED, FeedbackKind.EXPECTED})
_NO_LIMIT: Final = (
    "No limit that feedback could raise found this: it is about no series, or about a value out of the range "
    "that the configuration gives."
)
_NOTHING_HELD: Final = "Nothing that was found here is kept out of learning, so there is nothing to change."
_UNHEARD: Final = {
    FeedbackKind.CONFIRMED: _NOTHING_HELD,
    FeedbackKind.EXPECTED: _NOTHING_HELD,
    FeedbackKind.NEW_NORMAL: "No detector found this by what it learnt, so there is nothing to learn anew.",
}
_SAID_ENOUGH: Final = {
    FeedbackKind.FALSE_ALARM: (
        "The limits of its series are as high as they get: three false alarms were said of them. If it is no "
        "fault, say that it is the new normal, or expected at this time of the week."
    ),
    FeedbackKind.WITHDRAWN: "Nothing that was said of its series is in force: there is nothing to take back.",
}


class Previews(Protocol):
    """Judges a device's past in two ways; the runtime offers it."""

    def preview(self, said: FeedbackGiven, span_ms: int) -> Difference:
        """What feedback would have changed in the last part of the device's past."""
        ...

    def moved_limits(self, tenant: str, device: str) -> Mapping[str, Sequence[MovedLimit]]:
        """What was said of a device's series and not taken back, as Bands.moved_limits."""
        ...

    def has_heard_all(self, tenant: str, device: str) -> bool:
        """Whether all logged feedback on the device has been taken; False where that is not known."""
        ...

    def as_they_stand(self, tenant: str, episodes: Sequence[Episode], now_ms: int) -> list[Episode]:
        """The episodes as of the newest record."""
        ...


@dataclass(frozen=True, slots=True)
class Preview:
    """What feedback would act on, and what it would have changed."""

    series: tuple[SeriesName, ...]
    difference: Difference


@dataclass(frozen=True, slots=True)
class Given:
    """Feedback as it was recorded: the action, and the series that it acts on."""

    recorded: Recorded

    @property
    def series(self) -> tuple[SeriesName, ...]:
        """In the order of their names."""
        return self.recorded.action.series


class Feedbacks:
    """For whoever handles anomalies, within their tenant.

    Feedback is an action in the inbox's log first, so that nobody's view is overwritten and a key repeats it;
    then a record of the device's partition, which the processor takes in its place.
    """

    def __init__(
        self,
        log: Log,
        anomalies: Anomalies,
        commits: CommitStore,
        actions: Actions,
        previews: Previews,
    ) -> None:
        self._previews: Final = previews
        self._places: Final = Places(PREVIEWS_MAX, "Too many previews are being worked on.")
        self._log: Final = log
        self._anomalies: Final = anomalies
        self._commits: Final = commits
        self._actions: Final = actions

    def give(
        self,
        principal: Principal,
        anomaly_id: str,
        kind: FeedbackKind,
        *,
        note: str,
        target: Target,
        key: str,
    ) -> Given:
        """Say it of the series that the anomaly's newest episodes are about; durable on return.

        Refusals are those of `Actions.one`; InvalidInputError where it can change nothing. If the log
        refuses the record behind the action, its error is raised: the same key again logs it.
        """
        anomaly = self._found(principal, anomaly_id)
        series, spans = self._about(anomaly, kind)
        if not self._actions.was_done(principal, key):
            try:
                self._must_change_something(anomaly, series, kind)
            except InvalidInputError:
                if not self._actions.was_done(principal, key):  # by now: what is in force may be its doing
                    raise
        asked = Asked(kind=ActionKind.FEEDBACK, note=note, key=key, feedback=kind, series=series, spans=spans)
        given = Given(self._actions.one(principal, asked, target))
        self._log_given(anomaly, given)
        return given

    def preview(self, principal: Principal, anomaly_id: str, kind: FeedbackKind) -> Preview:
        """What feedback would have changed in the last 30 days; changes nothing.

        For what acts on the past, that is what would be revised; else as if it had been given then. Judges
        the device's whole past twice. InvalidInputError as for `give`, and for a past too long for it;
        ConflictError for an anomaly that was merged; BackpressureError where too many are asked for at once.
        """
        anomaly = self._found(principal, anomaly_id)
        if anomaly.merged_into is not None:
            raise ConflictError(gone(anomaly))
        series, spans = self._about(anomaly, kind)
        self._must_change_something(anomaly, series, kind)
        said = FeedbackGiven(
            tenant=anomaly.tenant,
            device=anomaly.device,
            kind=kind,
            series=series,
            anomaly=anomaly.id,
            action=_UNRECORDED,
            at_ms=0,
            spans=spans,
        )
        with self._places.one(principal.tenant):
            found = self._previews.preview(said, DAYS * 86_400_000)
        return Preview(series, found)

    def offered(self, principal: Principal, anomaly_id: str) -> Sequence[FeedbackKind]:
        """The kinds that could change anything of the anomaly, in the order of their likeliness."""
        anomaly = self._found(principal, anomaly_id)
        episodes = list(self._newest(anomaly))
        heard = {kind: {_name(each) for each in episodes if _can_hear(each, kind)} for kind in FeedbackKind}
        if not any(heard.values()):
            return []
        said = self._previews.moved_limits(anomaly.tenant, anomaly.device)
        return [kind for kind, names in heard.items() if would_act(kind, names, said)]

    def is_answerable(self, principal: Principal, anomaly_id: str) -> bool:
        """Whether anything could be said of the anomaly that would change something."""
        episodes = self._newest(self._found(principal, anomaly_id))
        return any(_can_hear(episode, FeedbackKind.WITHDRAWN) for episode in episodes)

    def _found(self, principal: Principal, anomaly_id: str) -> Anomaly:
        require(principal, Permission.HANDLE)
        return self._anomalies.stored(principal, anomaly_id)

    def _about(
        self, anomaly: Anomaly, kind: FeedbackKind
    ) -> tuple[tuple[SeriesName, ...], tuple[tuple[int, int], ...]]:
        """The series that it can be said of, and where that matters the spans in which they were abnormal."""
        episodes = self._episodes(anomaly, kind)
        names = {_name(episode) for episode in episodes}
        series = sorted(names, key=lambda name: (name.application, name.parameter, name.detector))
        return tuple(series), _spans(episodes) if kind in _OF_SPANS else ()

    def _episodes(self, anomaly: Anomaly, kind: FeedbackKind) -> list[Episode]:
        """Those that the feedback is about, as they stand where it matters until when they were abnormal."""
        own = [episode for episode in self._newest(anomaly) if _can_hear(episode, kind)]
        return self._previews.as_they_stand(anomaly.tenant, own, 0) if kind in _OF_SPANS else own

    def _newest(self, anomaly: Anomaly) -> Iterator[Episode]:
        found = (self._commits.episode(anomaly.tenant, name) for name in anomaly.episodes)
        return (episode for episode in found if episode is not None)

    def _must_change_something(
        self, anomaly: Anomaly, series: Sequence[SeriesName], kind: FeedbackKind
    ) -> None:
        """InvalidInputError, unless it was merged, which is refused for that alone."""
        if anomaly.merged_into is not None:
            return
        if not series:
            raise InvalidInputError(_UNHEARD.get(kind, _NO_LIMIT), field="anomaly")
        if kind in _SAID_ENOUGH and self._previews.has_heard_all(anomaly.tenant, anomaly.device):
            said = self._previews.moved_limits(anomaly.tenant, anomaly.device)
            if not would_act(kind, series, said):
                raise InvalidInputError(_SAID_ENOUGH[kind], field="kind")

    def _log_given(self, anomaly: Anomaly, given: Given) -> None:
        action = given.recorded.action
        if action.feedback is None:
            raise RuntimeError(f"action {given.recorded.sequence} is no feedback")
        record = FeedbackGiven(
            tenant=anomaly.tenant,
            device=anomaly.device,
            kind=action.feedback,
            series=action.series,
            anomaly=anomaly.id,
            action=given.recorded.sequence,
            at_ms=action.at_ms,
            spans=action.spans,
        )
        partition = partition_of(shard_of(anomaly.tenant, anomaly.device), self._log.partitions)
        payload = encode_control(record)
        append = Append(
            tenant=anomaly.tenant,
            arrival_ms=action.at_ms,
            parts=(Part(partition, RecordKind.CONTROL, 1, payload),),
            producer=_PRODUCER,
            sequence=str(given.recorded.sequence),
            fingerprint=xxhash.xxh3_128_digest(payload),
        )
        self._log.submit(append).result()


def would_act(
    kind: FeedbackKind, names: Collection[SeriesName], said: Mapping[str, Sequence[MovedLimit]]
) -> bool:
    """Whether one of the series would be judged otherwise, with what was said of them before."""
    does = {FeedbackKind.FALSE_ALARM: _can_rise, FeedbackKind.WITHDRAWN: _is_left}.get(kind)
    return any(does is None or does(said.get(name.parameter, ()), name) for name in names)


def _is_left(said: Sequence[MovedLimit], name: SeriesName) -> bool:
    """Whether feedback on the series acts, or has acted and was not taken back."""
    own = _own(said, name)
    return bool(own) and (own[-1].steps > 0 or any(each.kind for each in own))


def _can_rise(said: Sequence[MovedLimit], name: SeriesName) -> bool:
    """Whether limits of the series are not as high yet as they get."""
    own = _own(said, name)
    return not own or own[-1].steps < STEPS_MAX


def _own(said: Sequence[MovedLimit], name: SeriesName) -> list[FeedbackActed]:
    whose = name.application, name.detector
    return [each.moved for each in said if (each.application, each.detector) == whose]


def _name(episode: Episode) -> SeriesName:
    return SeriesName(application=episode.application, parameter=episode.parameter, detector=episode.detector)


def _spans(episodes: Sequence[Episode]) -> tuple[tuple[int, int], ...]:
    """When the episodes were abnormal, ascending; what overlaps is one."""
    found: list[tuple[int, int]] = []
    for episode in sorted(episodes, key=lambda each: each.started_ms):
        first_ms, last_ms = episode.started_ms, max(episode.last_abnormal_ms, episode.started_ms)
        if found and first_ms <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], last_ms)
        else:
            found.append((first_ms, last_ms))
    return tuple(found)


def _can_hear(episode: Episode, kind: FeedbackKind) -> bool:
    """Whether a detector of series found it, by something that such feedback can change."""
    detector = detectors().get(episode.detector)
    if detector is None or not detector.hears(kind) or not episode.parameter:
        return False
    of_device = episode.detector == DEVICE_DETECTOR and episode.reason in DEVICE_REASONS
    return not of_device and episode.reason not in detector.firm_reasons
