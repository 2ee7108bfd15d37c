"""Every way to the third party, and the directory over it, keep their promises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.directory_kit import START_MS, SimulatedWorld
from tocsin.clock import ManualClock, SystemClock
from tocsin.directory.abstract import DirectoryApi, DirectoryError, Failure, Freshness
from tocsin.directory.http_api import HttpDirectoryApi
from tocsin.simulate.directory.faults import LIES, DirectoryFault, Trouble, always
from tocsin.simulate.directory.in_process import SimulatedDirectoryApi
from tocsin.simulate.directory.mapping import SimulatedMapping
from tocsin.simulate.directory.server import SimulatedDirectoryServer
from tocsin.simulate.directory.service import SimulatedService

TOKEN = "third-party-secret"
DEVICES = ["pump-1", "fan 1/2 %2F?#", "kühler", "..."]
TIMEOUT_S = 0.3
FAILURES = {
    DirectoryFault.SLOW: {Failure.TIMEOUT},
    DirectoryFault.TRICKLE: {Failure.TIMEOUT},
    DirectoryFault.TIMEOUT: {Failure.TIMEOUT},
    DirectoryFault.CUT: {Failure.UNREACHABLE},
    DirectoryFault.ERROR: {Failure.UNAVAILABLE},
    DirectoryFault.BUSY: {Failure.LIMITED},
    DirectoryFault.REFUSED: {Failure.REFUSED},
    DirectoryFault.REDIRECT: {Failure.BROKEN},
    DirectoryFault.BROKEN: {Failure.BROKEN},
    DirectoryFault.TRUNCATED: {Failure.BROKEN},
    DirectoryFault.REPEATED: {Failure.BROKEN},
    DirectoryFault.PAGE: {Failure.BROKEN},
    DirectoryFault.NO_GUID: {Failure.BROKEN},
    DirectoryFault.HUGE: {Failure.TOO_LARGE},
}
QUICK = {"delay_s": 0.001, "slow_s": 2.0, "timeout_s": 2.0}


class Third:
    """A third party and a way to it."""

    def __init__(self, service: SimulatedService, api: DirectoryApi) -> None:
        self.service = service
        self.api = api
        self.technician = service.mapping.technicians[0]


@pytest.fixture(params=["in_process", "http"])
def third(request: pytest.FixtureRequest) -> Iterator[Third]:
    mapping = SimulatedMapping(DEVICES, 2, start_ms=START_MS)
    trouble = Trouble(**QUICK)  # type: ignore[arg-type]
    if request.param == "in_process":
        clock = ManualClock(START_MS)
        service = SimulatedService(mapping, clock, trouble=trouble, token=TOKEN)
        yield Third(service, SimulatedDirectoryApi(service, clock, token=TOKEN, timeout_s=TIMEOUT_S))
        return
    service = SimulatedService(mapping, SystemClock(), trouble=trouble, token=TOKEN)
    with SimulatedDirectoryServer(service) as server:
        api = HttpDirectoryApi(server.url, SystemClock(), token=TOKEN, timeout_s=TIMEOUT_S)
        yield Third(service, api)
        api.close()


def test_both_endpoints_answer(third: Third) -> None:
    """A list has all devices of the technician, a device has its technician; strange names too."""
    for technician in third.service.mapping.technicians:
        listed = third.api.devices_of(technician)
        assert listed is not None
        assert [entry.device for entry in listed] == list(third.service.mapping.devices_of(technician) or ())
        for entry in listed:
            assert third.api.device(entry.device) == entry


def test_what_is_not_there_is_none(third: Third) -> None:
    """An unknown technician or device is no failure, and no name leads to another address."""
    assert third.api.devices_of("00000000-0000-4000-8000-000000000000") is None
    assert third.api.device("unknown") is None
    assert third.api.device("..") is None
    assert third.api.device("../technicians") is None


@pytest.mark.parametrize("fault", sorted(set(DirectoryFault) - LIES))
def test_a_bad_answer_is_a_failure(third: Third, fault: DirectoryFault) -> None:
    """Each fault that can be told is told as what it is, at both endpoints, and changes nothing behind it."""
    third.service.trouble = Trouble(faults=(fault,), share=1.0, **QUICK)  # type: ignore[arg-type]
    with pytest.raises(DirectoryError) as of_list:
        third.api.devices_of(third.technician)
    assert of_list.value.failure in FAILURES[fault], of_list.value.detail
    with pytest.raises(DirectoryError) as of_device:
        third.api.device(DEVICES[1])
    assert of_device.value.failure in FAILURES[fault] | {Failure.BROKEN}, of_device.value.detail
    assert TOKEN not in str(of_list.value) + str(of_device.value)
    third.service.trouble = Trouble(**QUICK)  # type: ignore[arg-type]
    assert third.api.devices_of(third.technician)


def test_a_wrong_token_is_refused(third: Third) -> None:
    """The third party says so, and so does Tocsin, without the token."""
    third.service._token = "another"
    with pytest.raises(DirectoryError) as refused:
        third.api.device(DEVICES[0])
    assert refused.value.failure is Failure.REFUSED


@pytest.fixture(params=["in_process", "http"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[SimulatedWorld]:
    made = SimulatedWorld(tmp_path)
    if request.param == "in_process":
        yield made
        made.directory.close()
        return
    made.directory.close()
    with SimulatedDirectoryServer(made.service) as server:
        over = SimulatedWorld(tmp_path / "over", api=HttpDirectoryApi(server.url, SystemClock()))
        made.service._clock = over.clock  # faults and moves by simulated time, answers over a socket
        over.service, over.mapping = made.service, made.mapping
        yield over
        over.directory.close()


def test_what_the_third_party_says_is_known(world: SimulatedWorld) -> None:
    """Each device has its technician and location, each technician her devices, each location its own."""
    world.run(60)
    assert world.wrong() == []
    for technician in world.mapping.technicians:
        found = world.directory.devices_of(technician.upper())
        assert [each.device for each in found.devices] == list(world.mapping.devices_of(technician) or ())
        assert found.freshness is Freshness.FRESH
    (location,) = world.directory.locations()
    assert (location.name, location.devices) == ("site-001", len(world.names))
    assert len(world.directory.devices_at("site-001").devices) == len(world.names)


def test_pages_go_on_where_they_ended(world: SimulatedWorld) -> None:
    """No device is left out or told twice."""
    world.run(60)
    seen: list[str] = []
    more = True
    while more:
        found = world.directory.devices_at("site-001", after=seen[-1] if seen else "", limit=7)
        seen += [each.device for each in found.devices]
        more = found.more
    assert seen == world.names


def test_one_list_answers_for_many_devices(world: SimulatedWorld) -> None:
    """A technician's devices are not asked about one by one."""
    world.run(60)
    assert world.service.asked["devices"] <= 2 * len(world.mapping.technicians)


def test_a_dead_third_party_refuses_no_list(world: SimulatedWorld) -> None:
    """What is known is told with its age; beyond the hard limit it no longer counts, and is no error."""
    world.run(60)
    world.service.trouble = always(DirectoryFault.ERROR)
    world.clock.sleep(86_400)
    world.directory.round()
    technician = world.mapping.technicians[0]
    found = world.directory.devices_of(technician)
    assert found.freshness is Freshness.STALE
    assert len(found.devices) == len(world.mapping.devices_of(technician) or ())
    assert found.as_of_ms is not None
    assert world.clock.now_ms() - found.as_of_ms >= 86_400_000
    world.clock.sleep(7 * 86_400)
    expired = world.directory.devices_of(technician)
    assert (expired.freshness, expired.devices) == (Freshness.UNKNOWN, ())
    assert world.directory.ownership(world.names[0]).technician is None
    assert world.directory.locations() == []
