"""The quick way to a list answers as the framework's own."""

from __future__ import annotations

import anyio
import httpx
import pytest
from fastapi import APIRouter, FastAPI
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.http_kit import World
from tocsin.access.principal import Role
from tocsin.api.cursor import encode_cursor
from tocsin.api.list_route import ListRoute
from tocsin.api.problems import install
from tocsin.api.technicians import list_technician_anomalies

ANNA = "6f9619ff-8b86-4011-b42d-00c04fc964ff"
PIECES = st.sampled_from(
    [
        *("limit", "state", "cursor", "Limit", "other", "=", "&", "&", "%", "%ff", "+", "%20", "-", ".", "0"),
        *("1", "2", "50", "200", "201", "1e1", "1_0", "all", "unresolved", "ALL", "null", "None", "ü", "١"),
        *("limit=1", "limit=2", "state=all", "state=unresolved", "cursor=", "limit=", "state="),
    ]
)
QUERIES = st.lists(PIECES, max_size=8).map("".join)


@pytest.fixture(scope="module")
def both(shared: World) -> FastAPI:
    """The same operation at two addresses, over a technician's anomaly."""
    shared.find_anomaly("pump-7")
    shared.responsible(ANNA, "pump-7", "pump-8")
    app = FastAPI(redirect_slashes=False)
    for place, route_class in (("quick", ListRoute), ("careful", None)):
        router = APIRouter()
        router.add_api_route(
            f"/{place}/{{technician_id}}",
            list_technician_anomalies,
            route_class_override=route_class,
            response_model=None,
        )
        app.router.routes.extend(router.routes)
    app.state.services = shared.services
    install(app)
    return app


@settings(max_examples=150)
@given(query=QUERIES, technician=st.sampled_from([ANNA, ANNA.upper(), "nobody", "a%20b"]))
@example(query="limit=1&cursor=" + encode_cursor("technician anomalies", 3, tenant="own"), technician=ANNA)
def test_any_address_has_one_answer(both: FastAPI, shared: World, query: str, technician: str) -> None:
    """Whatever stands in it: the same list, or the same refusal in the same words."""
    answers = anyio.run(_ask, both, shared.key(Role.VIEWER), f"{technician}?{query}")
    assert answers[0] == answers[1]


def test_a_plain_address_needs_no_framework(
    both: FastAPI, shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its way is not taken where nothing is refused."""
    monkeypatch.setattr("fastapi.routing.solve_dependencies", None)
    quick, careful = anyio.run(_ask, both, shared.key(Role.VIEWER), f"{ANNA}?state=unresolved&limit=9")
    assert (quick[0], quick[1].count(b'"an_'), careful[0]) == (200, 1, 500)


@pytest.mark.parametrize("token", [None, "tcs_0123456789abcdef_" + "a" * 43])
def test_strangers_learn_nothing_else(both: FastAPI, token: str | None) -> None:
    """Who has no credential is told so, whether the address is right or not."""
    for query in ("limit=1", "limit=no"):
        answers = anyio.run(_ask, both, token, f"{ANNA}?{query}")
        assert answers[0] == answers[1]
        assert answers[0][0] == 401


async def _ask(app: FastAPI, token: str | None, address: str) -> list[tuple[int, bytes]]:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url="http://tocsin.test",
        headers=headers,
    ) as client:
        answers = [await client.get(f"/{place}/{address}") for place in ("quick", "careful")]
    return [(each.status_code, each.content) for each in answers]
