"""/v1/devices: who has sent, and what."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from tocsin.api.anomalies import AnomalyView, anomaly_view
from tocsin.api.cursor import decode_text, encode_cursor
from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.names import Name, finite, iso
from tocsin.api.openapi import answers
from tocsin.api.parameters import Cursor, From, Limit, To, time_or_none
from tocsin.control import FeedbackKind, kind_of
from tocsin.model import Verdict
from tocsin.services.devices import Device
from tocsin.services.series import POINTS_MAX, Band, Chart, MovedLimit

router = APIRouter(prefix="/v1/devices", tags=["devices"])


class DeviceView(BaseModel):
    """A device: the software that spoke for it last, its parameters, its newest time stamp.

    They are empty and null where it sent no reading. `dumps` is how many log dumps of it came. What comes
    while it is `quarantined` is kept and not scored.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "device": "pump-7",
                    "application": "hvac",
                    "version": "2.1",
                    "parameters": ["humidity", "temperature"],
                    "last_at": "2026-11-22T14:10:00.000Z",
                    "quarantined": False,
                    "dumps": 0,
                }
            ]
        }
    )

    device: str
    application: str
    version: str
    parameters: list[str]
    last_at: str | None
    quarantined: bool
    dumps: int


class QuarantineRequest(BaseModel):
    """Why the device is not to be scored; kept in the log with the decision."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "sensor is being replaced"}]}
    )

    reason: str = Field(min_length=1, max_length=500)


class QuarantineView(BaseModel):
    """What was decided; the list of devices shows it once it has taken effect, a moment later."""

    device: str
    quarantined: bool


class DevicePage(BaseModel):
    """A page by name; `next` is the cursor of the next one, null at the end."""

    devices: list[DeviceView]
    next: str | None


class DeviceDetail(DeviceView):
    """A device with the anomalies that show in its data now."""

    anomalies: list[AnomalyView]


class SeriesList(BaseModel):
    """The parameters of a device, each with a series of its own."""

    device: str
    parameters: list[str]


class Point(BaseModel):
    """A reading and the band it was judged by; null where there was none yet."""

    at: str
    value: float
    expected: float | None
    lower: float | None
    upper: float | None
    verdict: str


class LimitView(BaseModel):
    """Feedback on the series that was not taken back: since `acts_from` limits are `factor` times as high.

    `kind` says what was said. "Confirmed" and "expected" act until `acts_until`, "expected" only at these
    `hours` of the week, which count from Monday 0:00 on the device's clock.
    """

    detector: str
    application: str
    kind: FeedbackKind
    acts_from: str
    acts_until: str | None
    hours: list[int]
    factor: float
    given_at: str
    anomaly: str
    action: int


class ChartView(BaseModel):
    """A series between two times: at most the points asked for, lows and highs kept, of `readings`.

    `limits` tells, whatever the span, what feedback acts on it; the last factor of a detector holds.
    """

    device: str
    parameter: str
    from_at: str
    to_at: str
    readings: int
    points: list[Point]
    limits: list[LimitView]


def device_view(device: Device) -> DeviceView:
    """What people see of a device."""
    return DeviceView(
        device=device.device,
        application=device.application,
        version=device.version,
        parameters=list(device.parameters),
        last_at=iso(device.last_ms) if device.last_ms else None,
        quarantined=device.quarantined,
        dumps=device.dumps,
    )


def _points(band: Band) -> list[Point]:
    columns = (band.ts, band.value, band.expected, band.lower, band.upper, band.verdict)
    return [
        Point(
            at=iso(ts),
            value=value,
            expected=finite(expected),
            lower=finite(lower),
            upper=finite(upper),
            verdict=Verdict(verdict).name.lower(),
        )
        for ts, value, expected, lower, upper, verdict in zip(
            *(column.tolist() for column in columns), strict=True
        )
    ]


def _limit_view(limit: MovedLimit) -> LimitView:
    return LimitView(
        detector=limit.detector,
        application=limit.application,
        kind=kind_of(limit.moved),
        acts_from=iso(limit.moved.from_ms),
        acts_until=iso(limit.moved.until_ms) if limit.moved.until_ms else None,
        hours=list(limit.moved.hours),
        factor=limit.factor,
        given_at=iso(limit.moved.at_ms),
        anomaly=limit.moved.anomaly,
        action=limit.moved.action,
    )


def _chart_view(device: str, parameter: str, chart: Chart) -> ChartView:
    return ChartView(
        device=device,
        parameter=parameter,
        from_at=iso(chart.from_ms),
        to_at=iso(chart.to_ms),
        readings=chart.readings,
        points=_points(chart.band),
        limits=[_limit_view(each) for each in chart.limits],
    )


@router.get("", summary="List devices", responses=answers())
def list_devices(
    services: ServicesOf, principal: PrincipalOf, cursor: Cursor = None, limit: Limit = 100
) -> DevicePage:
    """Devices that have ever sent something, by name."""
    after = "" if cursor is None else decode_text("devices", cursor, tenant=principal.tenant)
    found, following = services.devices.page(principal, after=after, limit=limit)
    return DevicePage(
        devices=[device_view(device) for device in found],
        next=None if following is None else encode_cursor("devices", following, tenant=principal.tenant),
    )


@router.get("/{device}", summary="Read a device", responses=answers(404))
def read_device(services: ServicesOf, principal: PrincipalOf, device: Name) -> DeviceDetail:
    """One device and what is wrong with it now."""
    known = device_view(services.devices.one(principal, device))
    anomalies = services.devices.active_anomalies(principal, device)
    return DeviceDetail(**known.model_dump(), anomalies=[anomaly_view(anomaly) for anomaly in anomalies])


@router.post("/{device}/quarantine", summary="Stop scoring a device", responses=answers(404))
def begin_quarantine(
    services: ServicesOf, principal: PrincipalOf, device: Name, wanted: QuarantineRequest
) -> QuarantineView:
    """Keeps what the device sends from now on, and does not score it, until it is released."""
    services.quarantines.begin(principal, device, wanted.reason)
    return QuarantineView(device=device, quarantined=True)


@router.delete("/{device}/quarantine", summary="Score a device again", responses=answers(404))
def end_quarantine(services: ServicesOf, principal: PrincipalOf, device: Name) -> QuarantineView:
    """What came meanwhile stays unscored, also in corrections. Dump detectors that stopped for it go on."""
    services.quarantines.end(principal, device)
    return QuarantineView(device=device, quarantined=False)


@router.get("/{device}/series", summary="List a device's series", responses=answers(404))
def list_series(services: ServicesOf, principal: PrincipalOf, device: Name) -> SeriesList:
    """The device's parameters."""
    known = services.devices.one(principal, device)
    return SeriesList(device=known.device, parameters=list(known.parameters))


@router.get("/{device}/series/{parameter}", summary="Read a series with its band", responses=answers(404))
def read_series(
    services: ServicesOf,
    principal: PrincipalOf,
    device: Name,
    parameter: Name,
    from_: From = None,
    to: To = None,
    points: Annotated[int, Query(ge=2, le=POINTS_MAX, description="Most points to return.")] = 1000,
) -> ChartView:
    """Readings with what was expected of them; by default the last day up to the newest reading."""
    chart = services.series.chart(
        principal,
        device,
        parameter,
        from_ms=time_or_none(from_, "from"),
        to_ms=time_or_none(to, "to"),
        points=points,
    )
    return _chart_view(device, parameter, chart)
