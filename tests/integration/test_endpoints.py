"""The page of endpoints against a real server: what traces show, and what is answered without what."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import httpx
import pytest

from proof.endpoints.graph import Graph, Trace
from proof.endpoints.missing import RETRY_AFTER_S, Missing
from proof.endpoints.probes import probe
from proof.endpoints.row import WorkRow, dependency_rows, endpoint_rows, job_rows
from proof.endpoints.server import config_of, serving, third_party, toured, touring
from proof.endpoints.tour import wait_until
from tests.dump_detector_kit import install
from tests.dump_steps_kit import module
from tocsin.bootstrap import Application
from tocsin.errors import StorageUnavailableError
from tocsin.observability.dependency import Dependency

pytestmark = pytest.mark.long  # one tour of a server serves all tests

OPERATIONS = endpoint_rows()
JOBS = job_rows()


def of(graph: Graph, row: WorkRow) -> Sequence[Trace]:
    """The traces of an operation or job."""
    return graph.operations.get(row.name, []) or graph.jobs.get(row.name, [])


def is_told(graph: Graph, row: WorkRow) -> bool:
    """Whether the traces show all that the row may call and set going."""
    traces = of(graph, row)
    called = frozenset[str]().union(*(trace.calls for trace in traces))
    going = frozenset[str]().union(*(trace.sets_going for trace in traces))
    return bool(traces) and row.needs | row.may <= called and row.sets_going <= going


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Graph]:
    """Of a server that was asked for everything, with a dump detector of another team."""
    folder = tmp_path_factory.mktemp("tour")
    with pytest.MonkeyPatch.context() as patched:
        install(folder, patched, module())
        yield toured(folder / "data", lambda found: all(is_told(found, row) for row in [*OPERATIONS, *JOBS]))


@pytest.mark.parametrize("row", [*OPERATIONS, *JOBS], ids=lambda row: row.name)
def test_traces_show_what_the_page_says(graph: Graph, row: WorkRow) -> None:
    """No dependency or job that the page does not name, and none that it names and no trace shows."""
    traces = of(graph, row)
    assert traces, "there is no trace"
    assert frozenset[str]().union(*(trace.calls for trace in traces)) == row.needs | row.may
    assert frozenset[str]().union(*(trace.sets_going for trace in traces)) == row.sets_going
    assert row.needs <= frozenset.intersection(*(trace.calls for trace in traces))


def test_nothing_else_was_asked_and_no_other_job_ran(graph: Graph) -> None:
    """A job that the page leaves out would be one that nobody thought about."""
    assert graph.operations.keys() == {row.name for row in OPERATIONS}
    assert graph.jobs.keys() == {row.name for row in JOBS}


@dataclass
class World:
    """A server with something in every store, from which things can be taken away."""

    application: Application
    missing: Missing
    client: httpx.Client
    known: Mapping[str, str]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("missing")
    with pytest.MonkeyPatch.context() as patched:
        install(folder, patched, module())
        with (
            third_party() as directory,
            serving(config_of(folder / "data", devices_max=10, directory=directory), []) as (application, _),
        ):
            missing = Missing(application)
            key = application.bootstrap_admin() or ""
            application.start()
            with touring(application, key) as tour:
                yield World(application, missing, tour.client, tour.prepare())


THIS = "tests/integration/test_endpoints.py::test_what_is_missing_is_answered_as_the_page_says"
SHOWN_HERE = [Dependency(row.name) for row in dependency_rows() if THIS in row.shown_by]


def test_a_step_that_can_not_be_stored_lets_no_question_wait_for_long(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever asks the processor is told to come again, and other requests are answered."""
    monkeypatch.setattr(world.application.runtime.views, "patience_s", 0.2)
    with ExitStack() as held:
        for worker in world.application.runtime.workers:
            held.enter_context(worker.lock)
        for row in OPERATIONS:
            if Dependency.PROCESSOR in row.needs and "proof" not in row.name:
                answer = probe(world.client, row.name)
                told = (answer.status_code, answer.json()["code"], answer.headers["Retry-After"])
                assert told == (503, "overloaded", "10"), row.name
        assert probe(world.client, "POST /v1/events").status_code == 200
        assert probe(world.client, "GET /readyz").status_code == 200


@pytest.mark.parametrize("dependency", SHOWN_HERE)
def test_what_is_missing_is_answered_as_the_page_says(world: World, dependency: Dependency) -> None:
    """Every operation that needs it says so, with when to come again; jobs go on when it is back.

    A processor that has to read a log that is not there ends the process, as the test below shows: here it
    has read all of it before, ticks of the clock too.
    """
    with world.missing.missing(dependency, lambda: wait_until(world.application.runtime.caught_up)):
        time.sleep(1.1)  # jobs meet it too, and credentials are looked up again
        for row in OPERATIONS:
            if dependency in row.needs:
                answer = probe(world.client, row.name, known=world.known)
                expected = int(row.without.get(dependency, "503"))
                assert answer.status_code == expected, (row.name, answer.text)
                if dependency not in row.without:
                    assert answer.headers["Retry-After"] == str(RETRY_AFTER_S), row.name
    assert world.application.failure is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_log_that_can_not_be_read_ends_the_runtime(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was acknowledged is not passed over: the process ends, and says why."""

    def unreadable(*_: object, **__: object) -> None:
        raise StorageUnavailableError("unreadable")

    monkeypatch.setattr(world.application.stores.log, "read", unreadable)
    assert probe(world.client, "POST /v1/events").status_code == 200
    wait_until(lambda: world.application.failure is not None)
    assert isinstance(world.application.failure, StorageUnavailableError)
