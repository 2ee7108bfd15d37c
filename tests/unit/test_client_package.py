"""The client for service applications against a server that is played here."""

from __future__ import annotations

import json
import random
from typing import Any

import httpx
import pytest

from scripts.generate_client import files
from tocsin_client import ChangedError, RefusedError, Tocsin, UnavailableError, WeeklyRequest
from tocsin_client.stream import Sent, events_of
from tocsin_client.transport import segment

CHANGE = {
    "sequence": 7, "anomaly_id": "an_1", "at": "2026-11-22T10:00:00.000Z", "actor": "maria",
    "actor_name": "Maria",
    "kind": "resolved", "detail": "bearing replaced", "action": 3,
}  # fmt: skip
ANOMALY: dict[str, Any] = {
    "id": "an_1", "application": "pumps", "device": "pump-7", "parameters": ["temperature"],
    "detectors": ["seasonal"], "severity": "critical", "condition": "active", "handling": "open",
    "started_at": "2026-11-22T10:00:00.000Z", "last_abnormal_at": "2026-11-22T10:09:00.000Z",
    "cleared_at": None, "seen_at": None, "snoozed_until": None, "assignee": None, "merged_into": None,
    "recurrences": 0,
    "explanation": "hot", "peak_score": 4.5, "episodes": ["ep_1"], "version": 2, "updated_sequence": 7,
}  # fmt: skip
DONE = {
    "action": 3, "kind": "resolve", "at": "2026-11-22T10:10:00.000Z", "actor": "maria",
    "done": [{"id": "an_1", "version": 3}], "left": [],
}  # fmt: skip
WINDOW: dict[str, Any] = {
    "id": "mw_1", "device": "pump-7", "location": None, "application": None,
    "from_at": "2026-11-22T10:00:00.000Z", "to_at": None, "why": "", "no_alert": True, "no_learn": True,
    "weekly": {"days": ["sunday"], "from": "22:00", "to": "02:00", "timezone": "UTC"}, "devices": 1,
    "state": "holds", "made_at": "2026-11-22T09:58:00.000Z", "made_by": "maria", "ended_at": None,
    "ended_by": None, "version": 1,
}  # fmt: skip
Reply = httpx.Response | Exception


class Played:
    """Answers with one reply after another, and keeps what was asked and how long was slept."""

    def __init__(self, *replies: Reply) -> None:
        self.asked: list[httpx.Request] = []
        self.slept_s: list[float] = []
        self._replies = iter(replies)

    def client(self, patience_s: float = 60.0) -> Tocsin:
        http = httpx.Client(transport=httpx.MockTransport(self._answer))
        return Tocsin(
            "http://tocsin.test/", "key", patience_s=patience_s, http=http, sleep=self.slept_s.append,
            rng=random.Random(1),
        )  # fmt: skip

    def _answer(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.asked.append(request)
        reply = next(self._replies)
        if isinstance(reply, Exception):
            raise reply
        return reply


def page(*names: str, following: str | None = None) -> httpx.Response:
    anomalies = [ANOMALY | {"id": name} for name in names]
    told = {"anomalies": anomalies, "as_of": None, "mapping": "stale", "complete": True, "next": following}
    return httpx.Response(200, json=told)


def refused(status: int, code: str, **more: Any) -> httpx.Response:
    return httpx.Response(status, json={"status": status, "code": code, "detail": "no", **more})


def test_generated_files_are_what_the_description_gives() -> None:
    """`make reference` writes them anew."""
    assert [path.name for path, text in files().items() if path.read_text() != text] == []


def test_a_list_is_read_page_by_page_to_its_end() -> None:
    """By the cursor of the page before; what a later server adds is passed over."""
    played = Played(page("an_1", "an_2", following="c 1"), page("an_3"))
    with played.client() as client:
        assert [each.id for each in client.anomalies_of("guid/1")] == ["an_1", "an_2", "an_3"]
    paths = [request.url.raw_path.decode() for request in played.asked]
    first = "/v1/technicians/guid%2F1/anomalies?state=unresolved&limit=200"
    assert paths == [first, first.replace("&limit", "&cursor=c+1&limit")]
    assert played.asked[0].headers["Authorization"] == "Bearer key"


def test_words_and_fields_of_a_later_server_are_taken() -> None:
    """Within /v1 fields are added; an unknown severity is a word, and no error."""
    told = json.loads(page("an_1").content)
    told["anomalies"][0] |= {"severity": "catastrophe", "mood": "bad"}
    (found,) = Played(httpx.Response(200, json=told)).client().anomalies_of("guid")
    assert found.severity == "catastrophe"


@pytest.mark.parametrize(
    "trouble",
    [httpx.ReadTimeout("slow"), httpx.ConnectError("away"), refused(503, "overloaded"), refused(507, "full")],
)
def test_an_action_is_asked_again_with_the_same_key(trouble: Reply) -> None:
    """So it is done once, whether the answer was lost or the request."""
    played = Played(trouble, trouble, httpx.Response(200, json=DONE))
    done = played.client().act_on_anomaly("an_1", "resolve", note="bearing replaced", if_match=2)
    assert (done.action, done.done[0].version) == (3, 3)
    keys = {request.headers["Idempotency-Key"] for request in played.asked}
    assert len(keys) == 1
    assert len(played.slept_s) == 2
    assert {request.headers["If-Match"] for request in played.asked} == {'"2"'}
    assert {request.content for request in played.asked} == {b'{"note":"bearing replaced"}'}


def test_each_action_has_a_key_of_its_own_unless_it_is_given() -> None:
    """A phone keeps the key with what is to be done, and repeats it after a restart."""
    played = Played(*(httpx.Response(200, json=DONE) for _ in range(3)))
    client = played.client()
    client.act_on_anomaly("an_1", "seen")
    client.act_on_anomaly("an_1", "seen")
    client.undo_action(3, idempotency_key="kept")
    keys = [request.headers["Idempotency-Key"] for request in played.asked]
    assert len(set(keys)) == 3
    assert keys[2] == "kept"


def test_a_window_is_begun_changed_and_ended() -> None:
    """Words of the language are fields all the same; what is left out of a change is not sent, null is."""
    played = Played(httpx.Response(201, json=WINDOW), *(httpx.Response(200, json=WINDOW) for _ in range(3)))
    client = played.client()
    weekly = WeeklyRequest(days=("sunday",), from_="22:00", to="02:00")
    made = client.begin_maintenance(
        device="pump-7", from_="2026-11-22T10:00:00Z", weekly=weekly, no_learn=True, idempotency_key="k"
    )
    assert made.weekly is not None
    assert (made.weekly.from_, made.no_learn) == ("22:00", True)
    client.change_maintenance(made.id, why="oil", if_match=made.version)
    client.change_maintenance(made.id, to=None, if_match=made.version)
    client.end_maintenance(made.id, if_match=made.version)
    begun, *changed, ended = played.asked
    assert json.loads(begun.content) == {
        "device": "pump-7",
        "from": "2026-11-22T10:00:00Z",
        "weekly": {"days": ["sunday"], "from": "22:00", "to": "02:00"},
        "no_learn": True,
    }
    assert begun.headers["Idempotency-Key"] == "k"
    assert [(each.method, json.loads(each.content)) for each in changed] == [
        ("PATCH", {"why": "oil"}),
        ("PATCH", {"to": None}),
    ]
    assert (ended.method, ended.url.path, ended.content) == ("POST", "/v1/maintenance/mw_1/end", b"")
    assert {each.headers["If-Match"] for each in (*changed, ended)} == {'"1"'}


def test_retry_after_is_obeyed_and_patience_ends() -> None:
    """Waiting takes at least as long as the server says; when that is too long the call gives up at once."""
    busy = httpx.Response(429, headers={"Retry-After": "20"})
    played = Played(busy, busy, busy, busy)
    with pytest.raises(UnavailableError, match="429"):
        played.client(patience_s=50).read_me()
    assert played.slept_s == [20.0, 20.0]


def test_a_refusal_is_told_with_its_code_and_not_asked_again() -> None:
    """Also one that comes from something between here and the server."""
    for reply, code in (
        (refused(403, "no_technician"), "no_technician"),
        (httpx.Response(418), "not_tocsin"),
    ):
        played = Played(reply)
        with pytest.raises(RefusedError) as raised:
            played.client().read_me()
        assert (raised.value.code, raised.value.status) == (code, reply.status_code)
        assert len(played.asked) == 1


@pytest.mark.parametrize("text", ["<html>Sign in to the network</html>", "[]", '{"roles": 7}', ""])
def test_a_page_of_somebody_else_is_an_error_of_the_client(text: str) -> None:
    """A network that answers everything with its own page, and 200: for calls and for the stream."""
    for ask in (Tocsin.read_me, lambda client: next(client.follow(6))):
        played = Played(httpx.Response(200, text=text, headers={"Content-Type": "text/html"}))
        with pytest.raises(RefusedError, match="none of Tocsin's") as raised:
            ask(played.client())
        assert (raised.value.code, raised.value.status) == ("not_tocsin", 200)
        assert len(played.asked) == 1


def test_who_is_too_late_hears_what_came_in_between() -> None:
    """With the version of now, to decide anew."""
    played = Played(refused(412, "precondition_failed", version=3, changes=[CHANGE]))
    with pytest.raises(ChangedError) as raised:
        played.client().act_on_anomaly("an_1", "resolve", if_match=2)
    assert raised.value.version == 3
    assert [(change.actor, change.detail) for change in raised.value.changes] == [
        ("maria", "bearing replaced")
    ]


def test_changes_are_read_until_there_are_no_more() -> None:
    """Pages without any of the technician's go on, too."""
    pages = [([CHANGE], 7), ([], 9), ([], 9)]
    played = Played(*(httpx.Response(200, json={"changes": some, "last": last}) for some, last in pages))
    found = list(played.client().changes_of("guid", 6))
    assert [(last, len(some)) for last, some in found] == [(7, 1), (9, 0)]


def test_a_stream_goes_on_behind_what_was_seen_last() -> None:
    """After a cut and while the server is away; also behind an event of somebody else's device."""
    told = json.dumps({"change": CHANGE, "anomaly": ANOMALY})
    first = (
        f"retry: 2000\n\n: still here\n\nid: 7\nevent: anomaly\ndata: {told}\n\nid: 8\n\nid: 9\nevent: ano"
    )
    kinds = {"Content-Type": "text/event-stream"}
    played = Played(
        httpx.Response(200, text=first, headers=kinds),
        refused(503, "overloaded"),
        httpx.ConnectError("away"),
        httpx.Response(200, text="id: 9\n\n", headers=kinds),
        refused(401, "unauthenticated"),
    )
    events = played.client().follow(6, "guid")
    seen = [next(events) for _ in range(3)]
    assert [(after, told and told.anomaly.id) for after, told in seen] == [(7, "an_1"), (8, None), (9, None)]
    with pytest.raises(RefusedError, match="unauthenticated"):
        next(events)
    assert [request.headers["Last-Event-ID"] for request in played.asked] == ["6", "8", "8", "8", "9"]


def test_patience_begins_anew_where_a_stream_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever listened for an hour waits for the server as long as whoever has just begun."""
    event = f"id: 7\nevent: anomaly\ndata: {json.dumps({'change': CHANGE, 'anomaly': ANOMALY})}\n\n"
    following = event.replace("id: 7", "id: 8", 1)
    kinds = {"Content-Type": "text/event-stream; charset=utf-8"}
    played = Played(
        httpx.Response(200, text=event, headers=kinds),
        httpx.ConnectError("away"),
        httpx.Response(200, text=following, headers=kinds),
    )
    now_s = 0.0
    monkeypatch.setattr("tocsin_client.transport.time.monotonic", lambda: now_s)
    events = played.client(patience_s=60.0).follow(6)
    assert next(events)[0] == 7
    now_s = 3600.0
    assert next(events)[0] == 8
    assert len(played.slept_s) == 2


@pytest.mark.parametrize("name", ["pump-7", "a/b", "..", ".", "é ?#%", ""])
def test_a_name_is_one_piece_of_the_path(name: str) -> None:
    """Whatever a device is called, the request is about that device."""
    asked = httpx.URL(f"http://tocsin.test/v1/devices/{segment(name)}/x")
    assert asked.path.removeprefix("/v1/devices/").removesuffix("/x") == name


def test_data_of_several_lines_are_one_text() -> None:
    """As the format has it."""
    lines = ["data: a", "data:b", "", "id: 3", ""]
    assert list(events_of(lines)) == [Sent("", "message", "a\nb"), Sent("3", "message", "")]
