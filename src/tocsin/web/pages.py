"""The pages: fleet, anomaly, device, health."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from tocsin.errors import NotFoundError
from tocsin.inbox.abstract import Anomaly, AnomalyQuery, Condition
from tocsin.model import Episode, Severity
from tocsin.services.addresses import restored
from tocsin.services.series import DAY_MS
from tocsin.web.acting import handling_of, look_at
from tocsin.web.chart import Drawing, draw
from tocsin.web.maintenance import told
from tocsin.web.rendering import page
from tocsin.web.visitor import Visitor

ACTIVE_MAX: Final = 100
CLEARED_MAX: Final = 10
DEVICES_MAX: Final = 100
EPISODES_MAX: Final = 20
CHARTS_MAX: Final = 4
PAST_MAX: Final = 20
DUMPS_MAX: Final = 20
_POINTS: Final = 600
_HOUR_MS: Final = 3_600_000
_SPAN_MAX_MS: Final = 14 * DAY_MS
_RANK: Final = {Severity.CRITICAL: 0, Severity.WARNING: 1, Severity.INFO: 2}


def fleet(request: Request, visitor: Visitor) -> Response:
    """What is wrong now, and all devices."""
    return _show(visitor, "fleet.html", "fleet", **_fleet(visitor), address=_address(request))


def fleet_live(_request: Request, visitor: Visitor) -> Response:
    """The part of the fleet page that changes, for the script that follows the stream."""
    return page("_live.html", **_fleet(visitor))


def anomaly(request: Request, visitor: Visitor) -> Response:
    """One anomaly: the reason, what people do, the chart, the evidence; who may act has seen it now."""
    return anomaly_page(request, visitor, look_at(visitor, _anomaly_id(request)))


def anomaly_live(request: Request, visitor: Visitor) -> Response:
    """The part of an anomaly's page that people change, for the script that follows the stream."""
    found = visitor.services.anomalies.one(visitor.principal, _anomaly_id(request))
    return page("_handling.html", **handling_of(visitor, found))


def anomaly_page(
    request: Request, visitor: Visitor, found: Anomaly, status: int = 200, **said: str
) -> Response:
    """The page; `said` is what a form said that could not be done, and the `mistake`."""
    services, principal = visitor.services, visitor.principal
    episodes = _episodes(visitor, found)
    parameter = _chosen(request, found.parameters)
    of_parameter = [episode for episode in episodes if episode.parameter == parameter]
    peak = max(of_parameter or episodes, key=lambda episode: episode.score, default=None)
    evidence = None if peak is None else peak.evidence
    until_ms = _until_ms(visitor, found)
    return page(
        "anomaly.html",
        status,
        **(visitor.frame("inbox") | handling_of(visitor, found, **said)),
        episodes=episodes,
        peak=peak,
        found_in_dumps=None if evidence is None else evidence.dumps,
        unit="" if peak is None else services.series.unit(principal, peak.parameter),
        parameter=parameter,
        address=_address(request),
        drawing=_anomaly_chart(visitor, found, parameter, episodes, until_ms),
        maintained=[told(visitor, each) for each in services.maintenance.of_device(principal, found.device)],
        acting=services.series.acting(principal, found.device, [name for name in found.parameters if name]),
    )


def proof(request: Request, visitor: Visitor) -> Response:
    """One episode derived again from its raw records, with what was compared."""
    services, principal = visitor.services, visitor.principal
    found = services.anomalies.one(principal, _anomaly_id(request))
    episode = services.episodes.one(principal, restored(request.path_params["episode_id"]))
    return _show(
        visitor,
        "proof.html",
        "fleet",
        anomaly=found,
        episode=episode,
        proof=services.proofs.of(principal, episode.id),
        address=_address(request),
    )


def nowhere(_request: Request, _visitor: Visitor) -> Response:
    """For every address that is none."""
    raise NotFoundError("There is no such page.")


def device(request: Request, visitor: Visitor) -> Response:
    """One device: what is and what was wrong with it, its series of the last day, its newest dumps."""
    services, principal = visitor.services, visitor.principal
    known = services.devices.one(principal, restored(request.path_params["device"]))
    wanted = request.query_params.getlist("parameter") or known.parameters[:CHARTS_MAX]
    parameters = [name for name in wanted if name in known.parameters][:CHARTS_MAX]
    over = AnomalyQuery(principal.tenant, device=known.device, condition=Condition.CLEARED, limit=PAST_MAX)
    past, older = services.anomalies.page(principal, over)
    return _show(
        visitor,
        "device.html",
        "fleet",
        device=known,
        owned=services.mapping.device(principal, known.device),
        dumps=services.device_dumps.all(principal, known.device) if known.dumps else None,
        dumps_max=DUMPS_MAX,
        anomalies=services.devices.active_anomalies(principal, known.device),
        past=past,
        past_more=older is not None,
        acting=services.series.acting(principal, known.device, known.parameters),
        maintained=[told(visitor, each) for each in services.maintenance.of_device(principal, known.device)],
        charts=[
            (name, draw(services.series.chart(principal, known.device, name, points=_POINTS)))
            for name in parameters
        ],
    )


def health(_request: Request, visitor: Visitor) -> Response:
    """Whether the system does its work, and how far behind each step is."""
    services = visitor.services
    return _show(
        visitor,
        "health.html",
        "health",
        readiness=services.health.readiness(),
        partitions=services.health.partitions(),
        listeners=services.stream.listeners,
    )


def _anomaly_id(request: Request) -> str:
    return restored(request.path_params["anomaly_id"])


def _address(request: Request) -> str:
    """Where this server was asked, for commands to copy."""
    return str(request.base_url).rstrip("/")


def _show(visitor: Visitor, template: str, place: str, **values: Any) -> Response:
    return page(template, **visitor.frame(place), **values)


def _fleet(visitor: Visitor) -> dict[str, Any]:
    services, principal = visitor.services, visitor.principal
    devices, more = services.devices.page(principal, after="", limit=DEVICES_MAX)
    # sorting keeps the order within a severity: the newest change first
    active = sorted(_page(visitor, Condition.ACTIVE, ACTIVE_MAX), key=lambda found: _RANK[found.severity])
    return {
        "active": active,
        "cleared": _page(visitor, Condition.CLEARED, CLEARED_MAX),
        "devices": devices,
        "more_devices": more is not None,
        "troubled": {found.device for found in active},
        "now_ms": services.clock.now_ms(),
    }


def _page(visitor: Visitor, condition: Condition, limit: int) -> Sequence[Anomaly]:
    query = AnomalyQuery(visitor.principal.tenant, condition=condition, limit=limit)
    return visitor.services.anomalies.page(visitor.principal, query)[0]


def _episodes(visitor: Visitor, found: Anomaly) -> list[Episode]:
    """The newest episodes of the anomaly; those the store no longer knows are left out."""
    episodes = []
    for episode_id in found.episodes[:EPISODES_MAX]:
        try:
            episodes.append(visitor.services.episodes.one(visitor.principal, episode_id))
        except NotFoundError:
            continue
    return visitor.services.lasting.episodes(visitor.principal.tenant, episodes)


def _chosen(request: Request, parameters: Sequence[str]) -> str:
    wanted = request.query_params.get("parameter", "")
    return wanted if wanted in parameters else next(iter(parameters), "")


def _until_ms(visitor: Visitor, found: Anomaly) -> int:
    """How far it reaches: while it lasts, to the device's newest record."""
    if found.condition is Condition.CLEARED:
        return found.last_abnormal_ms
    try:
        newest_ms = visitor.services.devices.one(visitor.principal, found.device).last_ms
    except NotFoundError:
        return found.last_abnormal_ms
    return max(found.last_abnormal_ms, newest_ms)


def _anomaly_chart(
    visitor: Visitor, found: Anomaly, parameter: str, episodes: Sequence[Episode], until_ms: int
) -> Drawing | None:
    """The time around the anomaly, at most the last two weeks of it; None where there is no series."""
    length_ms = until_ms - found.started_ms
    to_ms = until_ms + max(_HOUR_MS // 6, length_ms // 8)
    from_ms = max(found.started_ms - max(6 * _HOUR_MS, length_ms), to_ms - _SPAN_MAX_MS)
    try:
        chart = visitor.services.series.chart(
            visitor.principal, found.device, parameter, from_ms=from_ms, to_ms=to_ms, points=_POINTS
        )
    except NotFoundError:
        return None
    spans = [
        (episode.started_ms, until_ms if episode.end_ms is None else episode.last_abnormal_ms)
        for episode in episodes
        if episode.parameter == parameter and not episode.retracted
    ]
    return draw(chart, spans)
