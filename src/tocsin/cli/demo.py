"""`tocsin demo`"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tocsin import threads
from tocsin.cli.opened import TENANT, config_of, wait_until_caught_up
from tocsin.cli.options import ConfigFile
from tocsin.cli.output import Exit, JsonFlag, fail, finish, note, progress
from tocsin.cli.serve import begin_to_serve, end_on_signals

if TYPE_CHECKING:
    from tocsin.bootstrap import Application
    from tocsin.cli.demo_feed import DemoFeed
    from tocsin.cli.demo_machines import MachineFeed
    from tocsin.cli.demo_people import DemoPerson
    from tocsin.config import Config
    from tocsin.inbox.abstract import Anomaly

_PAGE: Final = 200
_TOLD_AT_ONCE: Final = 10
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
    machines: Annotated[
        int, typer.Option(min=0, max=100, help="Machines that send log dumps, at the first start; 0: none.")
    ] = 4,
    json: JsonFlag = False,
) -> None:
    """Simulate a fleet and show what is wrong with it.

    Runs a server of its own on a free port, fills it with history and goes on in real time: stations with
    sensors, and machines that send log dumps. Ctrl-C ends it; started again it goes on with the same data.
    """
    try:
        _run(data, config, json, seconds=seconds, stations=stations, days=days, machines=machines)
    except KeyboardInterrupt:  # before the application listens to signals itself
        _say_goodbye(data)
        raise typer.Exit(int(Exit.INTERRUPTED)) from None


def _run(
    data: Path,
    config: Path | None,
    json: bool,
    *,
    seconds: float | None,
    stations: int,
    days: float,
    machines: int,
) -> None:
    from tocsin.bootstrap import Application
    from tocsin.cli.demo_directory import demo_directory
    from tocsin.cli.demo_feed import DemoFeed
    from tocsin.cli.demo_machines import MachineFeed
    from tocsin.cli.demo_people import demo_people
    from tocsin.memory import be_thrifty
    from tocsin.observability.logging import configure_logging

    began_s = time.monotonic()
    be_thrifty()
    threads.take_short_turns()
    configure_logging("warning", "auto")
    configured = config_of(config, data, http_host="127.0.0.1", http_port=0)
    with ExitStack() as opened:
        complete = _with_detectors(_with_units(configured), machines)
        connected, technicians = opened.enter_context(
            demo_directory(complete, stations=stations, machines=machines)
        )
        application = Application(connected)
        opened.callback(application.stop)
        end_on_signals(application, application.config.processing.stop_s)
        begin_to_serve(application)
        feed = DemoFeed(application, stations=stations, days=days)
        people = demo_people(application, technicians)
        machine_feed = MachineFeed(application, machines=machines) if machines else nullcontext()
        with feed, machine_feed as dumps, people as invited:
            _invite(application, feed)
            if dumps is not None:
                _introduce(dumps, sorted(application.config.watch.dump_detectors))
            for technician in technicians:
                note(f"Technician {technician}: {application.server.url}/technicians/{technician}")
            _introduce_people(application.server.url, invited)
            _follow(application, feed, dumps, began_s, seconds)
        wait_until_caught_up(application)
        result = _result(application, data)
    if application.failure is not None:
        fail("failed", f"{application.failure}; what was acknowledged is safe", json)
    _say_goodbye(data)
    lines = [f"dumps: {result['dumps']}"] if result["dumps"] else []
    lines += [f"events: {result['events']} anomalies: {result['anomalies']} data: {data}"]
    finish(result, lines, json, Exit.OK)


def _say_goodbye(data: Path) -> None:
    note(f"Goodbye. The data lie in {data.resolve()}; started again, the demo goes on with them.")


def _with_units(config: Config) -> Config:
    """The configuration with the units that the simulated quantities have; what it says itself wins."""
    from tocsin.config import with_options

    said = {name: part.model_dump() for name, part in config.watch.parameters.items()}
    units = {name: {"unit": unit} for name, unit in _UNITS.items()}
    return with_options(config, {"watch.parameters": units | said})


def _with_detectors(config: Config, machines: int) -> Config:
    """The configuration with the demo's dump detectors, as far as they are installed and there is a need."""
    from tocsin.cli.demo_machines import DETECTORS
    from tocsin.config import with_options
    from tocsin.dump_detectors import registry

    installed = registry.names() if machines else []
    said = {name: part.model_dump() for name, part in config.watch.dump_detectors.items()}
    found: dict[str, Any] = {name: rule for name, rule in DETECTORS.items() if name in installed}
    return with_options(config, {"watch.dump_detectors": found | said})


def _invite(application: Application, feed: DemoFeed) -> None:
    """A link that signs in: the part behind # stays in the browser, which fills the form in with it."""
    note(f"Open     {application.server.url}/login#{feed.viewer_token}")
    note('         and press "Use the key". The fleet page shows what is abnormal now, with the reason;')
    note("         an anomaly is open already, or comes within a minute. Click it for chart and proof.")
    note("Ctrl-C   ends the demo; started again it goes on with the same data.")


def _introduce(dumps: MachineFeed, detectors: Sequence[str]) -> None:
    """Who sends dumps, and who looks at them."""
    names = (
        f"{dumps.names[0]} to {dumps.names[-1]} send" if len(dumps.names) > 1 else f"{dumps.names[0]} sends"
    )
    who = f"{', '.join(detectors)} judge them" if detectors else "no dump detector is installed to judge them"
    note(f"Machines {names} log dumps; {who}.")


def _introduce_people(address: str, people: Sequence[DemoPerson]) -> None:
    """Technicians who see their own devices, as on a phone; the passwords are good for this run."""
    for person in people:
        note(
            f"Sign in  at {address}/login?name={person.name} as {person.name}, a technician, "
            f"with the password {person.password}"
        )


def _follow(
    application: Application,
    feed: DemoFeed,
    dumps: MachineFeed | None,
    began_s: float,
    seconds: float | None,
) -> None:
    """Wait for the end; meanwhile tell of the history's progress and of new anomalies, once each."""

    def over(pause_s: float) -> bool:
        for each in (feed, dumps):
            if each is not None and each.failure is not None:
                raise each.failure
        late = seconds is not None and time.monotonic() - began_s >= seconds
        return late or application.wait(pause_s)

    with progress("history", feed.history_events) as advance:
        shown = 0
        while not feed.history_sent and not over(0.2):
            advance(feed.acknowledged - shown)
            shown = feed.acknowledged
    told: set[str] = set()
    while not over(0.5):
        newest = _newest(application)
        for anomaly in newest if told else newest[-1:]:
            if anomaly.id not in told:
                note(f"Anomaly  {anomaly.device}: {anomaly.explanation}")
        told.update(anomaly.id for anomaly in newest)


def _newest(application: Application) -> list[Anomaly]:
    """Those that changed last, the newest at the end."""
    from tocsin.inbox.abstract import AnomalyQuery

    page = application.stores.inbox.anomalies(AnomalyQuery(TENANT, limit=_TOLD_AT_ONCE))
    return list(reversed(page))


def _result(application: Application, data: Path) -> dict[str, int | str]:
    from tocsin.inbox.abstract import AnomalyQuery

    anomalies, before = 0, None
    while page := application.stores.inbox.anomalies(
        AnomalyQuery(TENANT, before_sequence=before, limit=_PAGE)
    ):
        anomalies += len(page)
        before = page[-1].updated_sequence
    counts = application.runtime.views.digest(TENANT).counts
    return {
        "events": counts.get("events", 0),
        "dumps": counts.get("dumps_received", 0),
        "anomalies": anomalies,
        "data": str(data),
    }
