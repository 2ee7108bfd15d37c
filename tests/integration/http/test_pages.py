"""The pages: what people see, and that nobody else does."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html import unescape
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote

import httpx
import msgspec
import pytest
from msgspec.structs import replace

from tests.http_kit import FOREIGN, NOW_MS, OWN, World
from tocsin.access.principal import Role
from tocsin.access.sessions import SessionLimits
from tocsin.control import DumpOutcome, DumpReceived
from tocsin.model import DumpEvidence, DumpName, EvidenceText
from tocsin.processing.dump_places import place_dumps
from tocsin.processing.episodes import evidence_without_readings
from tocsin.services.sessions import SESSION_COOKIE
from tocsin.visible import visible_lines
from tocsin.web.pages import PAST_MAX

pytestmark = pytest.mark.anyio

NASTY = """<script>alert("1")</script>'"&\x1b[31m"""


@asynccontextmanager
async def signed_in(
    world: World, role: Role = Role.VIEWER, tenant: str = "default"
) -> AsyncIterator[httpx.AsyncClient]:
    """A browser of someone with this role."""
    async with world.client() as client:
        answer = await client.post("/login", data={"key": world.key(role, tenant)})
        assert answer.status_code == 303
        yield client


def page_csrf(html: str) -> str:
    """The token in the forms of a page."""
    found = re.search(r'name="csrf" value="([^"]+)"', html)
    assert found is not None
    return found[1]


async def test_pages_need_a_session(world: World) -> None:
    """Without a session every page leads to the sign-in page, which leads back."""
    async with world.client() as client:
        for path in ("/", "/live", "/health", "/devices/pump-7", "/anomalies/x"):
            answer = await client.get(path)
            assert (answer.status_code, answer.headers["location"]) == (303, f"/login?next={path}")


async def test_session_cookie_is_out_of_reach(world: World) -> None:
    """Scripts can't read the cookie, other sites can't send it, and over TLS nothing else carries it."""
    async with world.client() as client:
        for base, secure in (("http://tocsin.test", False), ("https://tocsin.test", True)):
            answer = await client.post(base + "/login", data={"key": world.key(Role.VIEWER)})
            cookie = answer.headers["set-cookie"].lower()
            assert "httponly" in cookie
            assert "samesite=strict" in cookie
            assert ("secure" in cookie) == secure
            assert world.key(Role.VIEWER) not in cookie


@pytest.mark.parametrize("key", ["", "nonsense", "tcs_0123456789abcdef_" + "x" * 43])
async def test_wrong_key_says_so(shared: World, key: str) -> None:
    """A wrong key shows the page again with the reason, announced to screen readers."""
    async with shared.client() as client:
        answer = await client.post("/login", data={"key": key})
    assert answer.status_code == 401
    assert 'role="alert"' in answer.text
    assert "set-cookie" not in answer.headers


async def test_device_tokens_do_not_sign_in(world: World) -> None:
    """A token that may only send events has no pages."""
    async with world.client() as client:
        assert (await client.post("/login", data={"key": world.key(Role.DEVICE)})).status_code == 403


@pytest.mark.parametrize(
    "target", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:x", "/a\nb"]
)
async def test_signing_in_never_leads_elsewhere(shared: World, target: str) -> None:
    """Only paths of this server are gone back to."""
    async with shared.client() as client:
        answer = await client.post("/login", data={"key": shared.key(Role.VIEWER), "next": target})
    assert answer.headers["location"] == "/"


async def test_other_sites_cannot_sign_a_browser_in(world: World) -> None:
    """A form of another site is refused, as the browser says where it comes from."""
    async with world.client() as client:
        headers = {"Sec-Fetch-Site": "cross-site"}
        answer = await client.post("/login", data={"key": world.key(Role.VIEWER)}, headers=headers)
    assert answer.status_code == 403


async def test_sign_out_needs_the_pages_own_form(world: World) -> None:
    """A forged form signs nobody out; the page's own does, for good."""
    async with signed_in(world) as client:
        assert (await client.post("/logout", data={"csrf": "guess"})).status_code == 403
        page = await client.get("/")
        csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert csrf is not None
        cookie = client.cookies[SESSION_COOKIE]
        assert (await client.post("/logout", data={"csrf": csrf[1]})).status_code == 303
        client.cookies.set(SESSION_COOKIE, cookie)
        assert (await client.get("/")).status_code == 303


async def test_forms_with_many_fields_are_refused(world: World) -> None:
    """A form of fifty fields is none of the pages' own: no key, no token, and never an internal error."""
    many = {f"field{number}": "x" for number in range(50)}
    async with signed_in(world) as client:
        assert (await client.post("/logout", data=many)).status_code == 403
        assert (await client.get("/")).status_code == 200
    async with world.client() as client:
        for key in ("nonsense", world.key(Role.VIEWER)):
            answer = await client.post("/login", data=many | {"key": key})
            assert (answer.status_code, "set-cookie" in answer.headers) == (401, False)
        assert (await client.post("/logout", data=many)).status_code == 303


async def test_session_ends_with_its_key_and_its_time(world: World) -> None:
    """A revoked key or the end of the day ends the session."""
    async with signed_in(world) as client, signed_in(world, Role.ADMIN) as other:
        key_id = world.key(Role.VIEWER).split("_")[1]
        world.access.revoke("default", key_id)
        assert (await client.get("/")).status_code == 303
        assert (await other.get("/")).status_code == 200
        world.clock.sleep(SessionLimits().idle_ms / 1000 + 1)
        assert (await other.get("/")).status_code == 303


async def test_changes_by_session_need_the_csrf_token(world: World) -> None:
    """The API takes the cookie for reading; for changes it wants what only our pages know."""
    async with signed_in(world, Role.ADMIN) as client:
        assert (await client.get("/v1/anomalies")).status_code == 200
        wanted = {"kind": "api_key", "name": "n", "roles": ["viewer"]}
        assert (await client.post("/v1/credentials", json=wanted)).status_code == 403
        page = await client.get("/")
        csrf = re.search(r'name="csrf" value="([^"]+)"', page.text)
        assert csrf is not None
        headers = {"X-CSRF-Token": csrf[1]}
        assert (await client.post("/v1/credentials", json=wanted, headers=headers)).status_code == 201


async def test_empty_fleet_says_what_to_do_next(world: World) -> None:
    """Whoever starts from nothing sees the command that sends the first reading."""
    async with signed_in(world) as client:
        page = (await client.get("/")).text
    assert "No device has sent anything yet" in page
    assert "curl" in page
    assert "http://tocsin.test/v1/events" in page


@pytest.mark.parametrize("quarantined", [False, True])
async def test_a_device_says_that_it_is_not_scored(world: World, quarantined: bool) -> None:
    """Whoever wonders why a device raises no alarm finds the reason on its page."""
    world.fleet.add("default", "pump-7", quarantined=quarantined)
    async with signed_in(world) as client:
        page = (await client.get("/devices/pump-7")).text
    assert ("in quarantine" in page) == quarantined


async def test_a_device_that_sends_dumps_alone_has_a_page(world: World) -> None:
    """It lists the newest dumps with what became of each and what is missing, and no empty charts."""
    world.fleet.add(OWN, "press-3", (), last_ms=0, dumps=3)
    received = [dump_of(number, DumpOutcome.ACCEPTED) for number in (1, 2, 4)]
    notes = {"logs": "learning, 3 of 168 h of <logs> seen"}
    world.fleet.placed[OWN, "press-3"] = msgspec.structs.replace(place_dumps(received), notes=notes)
    async with signed_in(world) as client:
        page = (await client.get("/devices/press-3")).text
        fleet = (await client.get("/")).text
        answer = (await client.get("/v1/devices/press-3")).json()
        assert (await client.get("/v1/devices/press-3/dumps")).json()["notes"] == notes
    assert "logs: learning, 3 of 168 h of &lt;logs&gt; seen" in page
    assert [page.index(f"<span>Dump {number}</span>") for number in (4, 2, 1)] == sorted(
        page.index(f"<span>Dump {number}</span>") for number in (4, 2, 1)
    )
    assert page.count("Ready</span>") == 2
    assert page.count("Waiting</span>") == 1
    assert "Missing: 3 (waited for)" in page
    assert "3 log dumps" in page
    assert "3 log dumps" in fleet
    for unfit in ("Last day", "no numbers yet", "1970"):
        assert unfit not in page + fleet
    assert (answer["dumps"], answer["last_at"], answer["parameters"]) == (3, None, [])


def dump_of(sequence: int, outcome: DumpOutcome) -> DumpReceived:
    """The record of a dump of the press, collected in a half an hour that has gone by."""
    return DumpReceived(
        tenant=OWN, device="press-3", sequence=sequence, sha256=f"{sequence:064x}", size_bytes=2048,
        collected_from_ms=NOW_MS - 1_800_000, collected_to_ms=NOW_MS, outcome=outcome,
    )  # fmt: skip


async def test_a_device_shows_what_is_over_and_leads_to_the_rest(world: World) -> None:
    """The newest come first, up to 20; all of its own, and no other, are in the inbox behind a link."""
    name = "pump 7&1"
    open_one = world.find_anomaly(name)
    days = [NOW_MS - days * 86_400_000 for days in range(60, 0, -2)]
    past = [
        world.find_anomaly(name, started_ms=ms, last_abnormal_ms=ms + 420_000, end_ms=ms + 600_000)
        for ms in days
    ]
    other = world.find_anomaly("pump-8")
    async with signed_in(world) as client:
        page = (await client.get(f"/devices/{quote(name, safe='')}")).text
        over = page[page.index('id="over"') :]
        assert re.findall(r'href="/anomalies/(an_\w+)"', over) == past[: -PAST_MAX - 1 : -1]
        assert over.count("7 min</span>") == PAST_MAX
        assert open_one in page[: page.index('id="over"')]
        link = re.search(r'href="(/inbox\?[^"]+)">All anomalies of this device', page)
        assert link is not None
        inbox = (await client.get(unescape(link[1]))).text
        assert set(re.findall(r'id="a-(an_\w+)"', inbox)) == {open_one, *past}
        for address in set(re.findall(r'(?:href|data-live)="(/inbox[^"]*)"', inbox)) - {"/inbox"}:
            shown = (await client.get(unescape(address))).text
            assert ((other in shown), ("device=" in address)) in {(False, True), (True, False)}
        assert "All anomalies" not in (await client.get("/devices/pump-8")).text


async def test_what_was_found_in_dumps_is_shown_with_its_lines(world: World) -> None:
    """Numbers and lines of the finding, escaped, instead of readings that there are none of."""
    name = DumpName(epoch=0, sequence=105, sha256="0" * 64)
    found = DumpEvidence(
        first=name, last=msgspec.structs.replace(name, sequence=107), peak=name, count=3, version="2",
        sentence="a line came 75 times", facts={"count": 75, "lines_before": 0, "word": NASTY},
        lines=(EvidenceText("controller/<b>.log", 1204, NASTY),), findings_sha256="0" * 64,
    )  # fmt: skip
    nothing = float("nan")
    anomaly = world.find_anomaly(
        "press-3", parameter="controller", detector="line-shapes", score=4.2, value=nothing, expected=nothing,
        lower=nothing, upper=nothing,
        evidence=evidence_without_readings(NOW_MS, NOW_MS, partition=0, before_offset=0, dumps=found),
    )  # fmt: skip
    async with signed_in(world) as client:
        page = (await client.get(f"/anomalies/{anomaly}")).text
    assert "<dt>Count</dt><dd>75</dd>" in page
    assert "<dt>Lines before</dt><dd>0</dd>" in page
    assert "<dt>Score, limit is 1</dt><dd>4.2</dd>" in page
    assert "Found in 3 log dumps, 105 to 107" in page
    assert "controller/&lt;b&gt;.log, line 1,204" in page
    assert page.count("&lt;script&gt;alert(&#34;1&#34;)") == 2
    assert "3 dumps" in page
    for unfit in ("<script>alert", "Strangest value", "no readings of", "\x1b"):
        assert unfit not in page


async def test_fleet_shows_anomalies_and_devices(world: World) -> None:
    """An active anomaly is on the page with its reason and severity, and in the part that is reloaded."""
    anomaly = world.find_anomaly("pump-7")
    world.fleet.add("default", "quiet-1")
    async with signed_in(world) as client:
        for path in ("/", "/live"):
            page = (await client.get(path)).text
            assert f'href="/anomalies/{anomaly}"' in page
            assert "Temperature 93.2 °C of pump-7" in page
            assert "Warning</span>" in page
            assert "quiet-1" in page
        assert "<html" not in page


async def test_anomaly_page_has_chart_reason_history_and_proof(world: World) -> None:
    """Everything needed to decide is on one page."""
    anomaly = world.find_anomaly("pump-7")
    async with signed_in(world) as client:
        page = (await client.get(f"/anomalies/{anomaly}")).text
    assert page.count('class="curve"') == 2  # legend and chart
    assert page.count('class="span"') == 1
    assert 'role="img" aria-label="temperature: ' in page
    assert "<h1>Temperature 93.2 °C of pump-7 is 12.1 °C above the 81.1 °C limit.</h1>" in page
    assert 'href="/v1/episodes/' in page
    assert "History" in page


async def test_numbers_under_a_chart_are_those_of_its_parameter(world: World) -> None:
    """An anomaly of two parameters shows the peak of the one that is looked at, not of the stronger one."""
    world.find_anomaly("pump-7")
    anomaly = world.find_anomaly(
        "pump-7", id="humid", parameter="humidity", value=12.5, score=9.0, explanation="dry"
    )
    async with signed_in(world) as client:
        for parameter, shown in (("temperature", "93.2"), ("humidity", "12.5")):
            page = (await client.get(f"/anomalies/{anomaly}?parameter={parameter}")).text
            assert f"<dt>Strangest value</dt><dd>{shown}" in page


async def test_what_rests_on_no_reading_shows_no_numbers(world: World) -> None:
    """A silence has no strangest value: a range from 0 to 0 would be made up."""
    silence: dict[str, Any] = {
        "parameter": "", "detector": "health", "reason": "silent", "readings": 0, "score": 1.0,
        "value": 0.0, "expected": 0.0, "lower": 0.0, "upper": 0.0,
        "explanation": "the device was silent for 2 hours",
    }  # fmt: skip
    anomaly = world.find_anomaly("pump-7", **silence)
    async with signed_in(world) as client:
        page = (await client.get(f"/anomalies/{anomaly}")).text
    assert "The device was silent for 2 hours." in page
    for made_up in ("Strangest value", "strangest reading", "Usual range then"):
        assert made_up not in page


async def test_names_are_escaped_wherever_they_are_shown(world: World) -> None:
    """A device may be named like an attack; pages show it as text and links lead to it."""
    anomaly = world.find_anomaly(NASTY)
    async with signed_in(world) as client:
        for path in ("/", f"/anomalies/{anomaly}"):
            page = (await client.get(path)).text
            assert "<script>alert" not in page
            assert "&lt;script&gt;alert" in page
        link = re.search(r'href="(/devices/[^"]+)"', page)
        assert link is not None
        device = await client.get(link[1])
    assert device.status_code == 200
    assert "<script>alert" not in device.text


async def test_characters_that_act_are_named(world: World) -> None:
    """Overrides of direction and controls in names are shown as what they are, on every page."""
    name = "pump\u202e7\x1b[2J\x9b\u2066"
    anomaly = world.find_anomaly(name, explanation=f"temperature of {name} is high")
    async with signed_in(world) as client:
        for path in ("/", f"/anomalies/{quote(anomaly, safe='')}", f"/devices/{quote(name, safe='')}"):
            text = (await client.get(path)).text
            assert visible_lines(text) == text
            assert "pump\\u202e7\\u001b[2J" in text


async def test_another_tenants_pages_are_not_here(world: World) -> None:
    """Ids of another tenant are unknown, on pages as in the API."""
    anomaly = world.find_anomaly("secret-pump")
    async with signed_in(world, Role.ADMIN, FOREIGN) as client:
        assert "secret-pump" not in (await client.get("/")).text
        for path in (f"/anomalies/{anomaly}", "/devices/secret-pump"):
            answer = await client.get(path)
            assert answer.status_code == 404
            assert "Not here" in answer.text


async def test_what_goes_on_is_told_as_it_is_now(world: World) -> None:
    """Pages, lists and single anomalies show the sentence and the time of now; the stored version stays."""
    anomaly = world.find_anomaly("pump-7", explanation="hot; abnormal for 5 minutes")
    (stored,) = world.commits.episodes(OWN)
    now = replace(stored, explanation="hot; abnormal for 22 minutes", last_abnormal_ms=NOW_MS, value=94.5)
    world.fleet.standing = {stored.id: now}
    async with signed_in(world) as client:
        for path in ("/", f"/anomalies/{anomaly}", "/devices/pump-7", "/v1/anomalies"):
            assert "abnormal for 22 minutes" in (await client.get(path)).text
        assert "<dt>Strangest value</dt><dd>94.5" in (await client.get(f"/anomalies/{anomaly}")).text
        told = await client.get(f"/v1/anomalies/{anomaly}", headers={"If-None-Match": '"1"'})
        proof = (await client.get(f"/anomalies/{anomaly}/proof/{stored.id}")).text
    assert told.json()["last_abnormal_at"] == "2026-11-22T10:00:00.000Z"
    assert told.json()["version"] == 1
    assert "Hot; abnormal for 5 minutes." in proof


async def test_proof_is_told_in_words(world: World) -> None:
    """Whoever derives an episode again reads whether it matches, what differs and what was compared."""
    anomaly = world.find_anomaly("pump-7")
    (stored,) = world.commits.episodes(OWN)
    async with signed_in(world) as client:
        page = (await client.get(f"/anomalies/{anomaly}")).text
        link = f"/anomalies/{anomaly}/proof/{stored.id}"
        assert f'href="{link}"' in page
        assert f'tocsin explain {anomaly} --url http://tocsin.test --token "$TOCSIN_TOKEN"' in page
        differs = (await client.get(link)).text
        world.proves = True
        matches = (await client.get(link)).text
    assert "<h1>It differs</h1>" in differs
    assert "What differs" in differs
    assert "<h1>It matches</h1>" in matches
    assert "What differs" not in matches
    assert "judged again</dt><dd>1,234</dd>" in matches


@pytest.mark.parametrize("path", ["/nosuch", "/devices/nobody", "/anomalies/an_none"])
async def test_a_missing_page_keeps_the_way_on(world: World, path: str) -> None:
    """A browser that finds nothing still has the navigation; a program gets a problem, a stranger a form."""
    browser = {"Accept": "text/html,*/*;q=0.8"}
    async with signed_in(world) as client:
        answer = await client.get(path, headers=browser)
        assert answer.status_code == 404
        assert all(word in answer.text for word in ("Not here", 'aria-label="Pages"', "Sign out"))
        assert (await client.get("/v1/nosuch")).json()["code"] == "not_found"
    async with world.client() as stranger:
        assert (await stranger.get(path, headers=browser)).headers["location"].startswith("/login?next=/")


async def test_health_counts_in_records(world: World) -> None:
    """Numbers of the health page say what they count."""
    async with signed_in(world) as client:
        assert "0\xa0records" in (await client.get("/health")).text


class _Checker(HTMLParser):
    """Collects what would break the rules for pages."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []
        self.ids: list[str] = []
        self.labels: set[str] = set()
        self.fields: set[str] = set()
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append(tag)
        if "style" in values or any(name.startswith("on") for name in values):
            self.faults.append(f"inline style or script on {tag}")
        if tag == "script" and "src" not in values:
            self.faults.append("inline script")
        for name in ("src", "href", "action"):
            if (values.get(name) or "").startswith(("http:", "https:", "//")):
                self.faults.append(f"{tag} leads elsewhere")
        if values.get("id"):
            self.ids.append(str(values["id"]))
        if tag == "label":
            self.labels.add(str(values.get("for")))
        if tag == "input" and values.get("type") != "hidden":
            self.fields.add(str(values.get("id")))


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/health",
        "/devices/pump-7",
        "/anomalies/{anomaly}",
        "/anomalies/{anomaly}/proof/{episode}",
        "/nosuch",
        "/login",
    ],
)
async def test_pages_keep_their_own_rules(world: World, path: str) -> None:
    """No inline script or style, nothing from elsewhere, landmarks, one heading, labels, unique ids."""
    anomaly = world.find_anomaly("pump-7")
    async with signed_in(world) as client:
        found = path.replace("{anomaly}", anomaly).replace("{episode}", world.commits.episodes(OWN)[0].id)
        answer = await client.get(found, headers={"Accept": "text/html"})
    checker = _Checker()
    checker.feed(answer.text)
    assert checker.faults == []
    assert len(checker.ids) == len(set(checker.ids))
    assert checker.fields <= checker.labels
    assert [checker.tags.count(tag) for tag in ("main", "h1", "title")] == [1, 1, 1]
    assert 'lang="en"' in answer.text


async def test_assets_are_ours_and_kept(world: World) -> None:
    """Style and script come from this server, may be kept for good, and nothing else is served."""
    async with world.client() as client:
        page = (await client.get("/login")).text
        for path in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
            answer = await client.get(path)
            assert answer.status_code == 200
            assert "immutable" in answer.headers["cache-control"]
        assert (await client.get("/static/..%2Frouting.py")).status_code == 404


async def test_every_answer_has_the_security_headers(world: World) -> None:
    """Pages, problems, unknown paths and files alike."""
    async with world.client() as client:
        for path in ("/login", "/v1/anomalies", "/nowhere", "/healthz"):
            headers = (await client.get(path)).headers
            assert "script-src 'self'" in headers["content-security-policy"]
            assert "unsafe-inline" not in headers["content-security-policy"]
            assert headers["x-content-type-options"] == "nosniff"
            assert headers["referrer-policy"] == "no-referrer"
            assert "access-control-allow-origin" not in headers
