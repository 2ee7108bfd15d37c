"""`tocsin demo`"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from tocsin import threads
from tocsin.cli.opened import TENANT, config_of, wait_until_caught_up
from tocsin.cli.options import ConfigFile
from tocsin.cli.output import Exit, JsonFlag, fail, finish, note, progress
from tocsin.cli.serve import end_on_signals, show_admin_key

if TYPE_CHECKING:
    from tocsin.bootstrap import Application
    from tocsin.cli.demo_feed import DemoFeed
    from tocsin.config import Config
    from tocsin.inbox.abstract import Anomaly

_PAGE: Final = 200
_UNITS: Final = {"temperature": "°C", "humidity": "%", "noise_level": "dB"}


def demo(
    data: Annotated[Path, typer.Option(help="Data folder; a second start goes on with it.")] = Path(
        "data/demo"
    ),
    config: ConfigFile = None,
    seconds: Annotated[
        float | None, typer.Option(envvar="DEMO_SECONDS", help="End by itself after so many seconds.")
    ] = None,
    stations: Annotated[int, typer.Option(min=1, help="Stations of the fleet, at the first start.")] = 25,
    days: Annotated[float, typer.Option(help="Days of history, at the first start.")] = 14.0,
    json: JsonFlag = False,
) -> None:
    """Simulate a fleet and show what is wrong with it.

    Runs a server of its own on a free port, fills it with history and goes on in real time. Ctrl-C
    ends it; started again it goes on with the same data.
    """
    try:
        _run(data, config, json, seconds=seconds, stations=stations, days=days)
    except KeyboardInterrupt:  # before the application listens to signals itself
        _say_goodbye(data)
        raise typer.Exit(int(Exit.INTERRUPTED)) from None


def _run(
    data: Path, config: Path | None, json: bool, *, seconds: float | None, stations: int, days: float
) -> None:
    from tocsin.bootstrap import Application
    from tocsin.cli.demo_feed import DemoFeed
    from tocsin.memory import be_thrifty
    from tocsin.observability.logging import configure_logging

    began_s = time.monotonic()
    be_thrifty()
    threads.take_short_turns()
    configure_logging("warning", "auto")
    application = Application(_with_units(config_of(config, data, http_host="127.0.0.1", http_port=0)))
    try:
        end_on_signals(application, application.config.processing.stop_s)
        show_admin_key(application)
        application.start()
        with DemoFeed(application, stations=stations, days=days) as feed:
            _invite(application, feed)
            _follow(application, feed, began_s, seconds)
        wait_until_caught_up(application)
        result = _result(application, data)
    finally:
        application.stop()
    if application.failure is not None:
        fail("failed", f"{application.failure}; what was acknowledged is safe", json)
    _say_goodbye(data)
    line = f"events: {result['events']} anomalies: {result['anomalies']} data: {data}"
    finish(result, [line], json, Exit.OK)


def _say_goodbye(data: Path) -> None:
    note(f"Goodbye. The data lie in {data.resolve()}; started again, the demo goes on with them.")


def _with_units(config: Config) -> Config:
    """The configuration with the units that the simulated quantities have; what it says itself wins."""
    from tocsin.config import with_options

    said = {name: part.model_dump() for name, part in config.watch.parameters.items()}
    units = {name: {"unit": unit} for name, unit in _UNITS.items()}
    return with_options(config, {"watch.parameters": units | said})


def _invite(application: Application, feed: DemoFeed) -> None:
    """A link that signs in: the part behind # stays in the browser, which fills the form in with it."""
    note(f"Open     {application.server.url}/login#{feed.viewer_token}")
    note('         and press "Sign in". The fleet page shows what is abnormal now, with the reason;')
    note("         an anomaly is open already, or comes within a minute. Click it for chart and proof.")
    note("Ctrl-C   ends the demo; started again it goes on with the same data.")


def _follow(application: Application, feed: DemoFeed, began_s: float, seconds: float | None) -> None:
    """Wait for the end; meanwhile tell of the history's progress and of the newest anomaly, once each."""
    with progress("history", feed.history_events) as advance:
        shown = 0
        while not feed.history_sent and not _over(application, feed, began_s, seconds, 0.2):
            advance(feed.acknowledged - shown)
            shown = feed.acknowledged
    told: str | None = None
    while not _over(application, feed, began_s, seconds, 0.5):
        newest = _newest(application)
        if newest is not None and newest.id != told:
            told = newest.id
            note(f"Anomaly  {newest.device}: {newest.explanation}")


def _over(
    application: Application, feed: DemoFeed, began_s: float, seconds: float | None, pause_s: float
) -> bool:
    if feed.failure is not None:
        raise feed.failure
    late = seconds is not None and time.monotonic() - began_s >= seconds
    return late or application.wait(pause_s)


def _newest(application: Application) -> Anomaly | None:
    from tocsin.inbox.abstract import AnomalyQuery

    page = application.stores.inbox.anomalies(AnomalyQuery(TENANT, limit=1))
    return page[0] if page else None


def _result(application: Application, data: Path) -> dict[str, int | str]:
    from tocsin.inbox.abstract import AnomalyQuery

    anomalies, before = 0, None
    while page := application.stores.inbox.anomalies(
        AnomalyQuery(TENANT, before_sequence=before, limit=_PAGE)
    ):
        anomalies += len(page)
        before = page[-1].updated_sequence
    counts = application.runtime.views.digest(TENANT).counts
    return {"events": counts.get("events", 0), "anomalies": anomalies, "data": str(data)}
