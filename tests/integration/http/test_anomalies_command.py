"""`tocsin anomalies` against a server: lists, shows, acts, undoes."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.http_kit import NOW_MS, OWN, World
from tests.integration.http.test_server import serving
from tocsin.access.principal import Role
from tocsin.cli.app import main

Run = Callable[..., tuple[int, dict[str, Any]]]


@pytest.fixture
def technician(world: World) -> Iterator[tuple[str, ...]]:
    """Options by which a technician asks the server."""
    with serving(world) as server:
        yield ("--url", f"http://127.0.0.1:{server.port}", "--token", world.key(Role.TECHNICIAN))


@pytest.fixture
def run(technician: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> Run:
    """Exit code and result of `tocsin anomalies`, by a technician."""

    def command(*words: str) -> tuple[int, dict[str, Any]]:
        code = main(["anomalies", *words, *technician, "--json"])
        return code, json.loads(capsys.readouterr().out.splitlines()[-1])

    return command


def test_it_lists_shows_and_acts(world: World, run: Run) -> None:
    """What one sees in the list can be acted on, all of it at once, and undone."""
    ids = [world.find_anomaly(f"pump-{number}") for number in (1, 2)]
    code, listed = run("--show", "unseen")
    assert (code, [each["id"] for each in listed["anomalies"]]) == (0, ids[::-1])
    code, done = run(*ids, "--do", "resolve", "--note", "power was off")
    assert (code, [each["id"] for each in done["done"]]) == (0, ids)
    assert run()[1]["anomalies"] == []
    assert len(run("--show", "resolved", "--device", "pump-1")[1]["anomalies"]) == 1
    _, shown = run(ids[0])
    assert [change["kind"] for change in shown["anomalies"][0]["history"]] == ["opened", "resolved"]
    assert run("--undo", str(done["action"]))[0] == 0
    for limit, more in ((1, True), (2, False), (3, False)):
        _, listed = run("--limit", str(limit))
        assert (len(listed["anomalies"]), listed["more"]) == (min(limit, 2), more)


def test_only_of_what_can_be_undone_it_is_said_how(
    world: World, technician: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Looking, words and an undo stay."""
    anomaly = world.find_anomaly("pump-1")
    comment = (anomaly, "--do", "comment", "--note", "it hums")
    for words, how in (
        ((anomaly, "--do", "seen"), False),
        ((anomaly, "--do", "acknowledge"), True),
        (comment, False),
        (("--undo", "2"), False),
    ):
        assert main(["anomalies", *words, *technician]) == 0
        assert ("undo it with" in capsys.readouterr().out) is how, words


def test_who_is_too_late_hears_it_by_the_exit_code(world: World, run: Run) -> None:
    """1 when any anomaly was left as it is, with why; the others have the action."""
    one, other = world.find_anomaly("pump-1"), world.find_anomaly("pump-2")
    run(one, "--do", "acknowledge")
    code, late = run(one, "--do", "snooze", "--until", str(NOW_MS + 1000), "--if-version", "1")
    assert (code, [each["code"] for each in late["left"]]) == (1, ["precondition_failed"])
    code, mixed = run(other, "an_none", "--do", "assign", "--to", "tom")
    assert (code, len(mixed["done"]), len(mixed["left"])) == (1, 1, 1)
    assert world.inbox.anomaly(OWN, other).assignee == "tom"  # type: ignore[union-attr]


def test_a_refusal_has_the_code_that_the_server_gave_it(
    world: World, technician: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """Also one of a kind that no command raises itself: what to do is said of that code."""
    guid = "6f9619ff-8b86-4011-b42d-00c04fc964ff"
    world.person("tom", technician=guid)
    world.responsible(guid, "pump-9")
    anomaly = world.find_anomaly("pump-1")
    assert main(["anomalies", anomaly, "--do", "assign", "--to", "tom", *technician]) == 1
    assert capsys.readouterr().err.startswith("tocsin: not_responsible: Tom would never see it")


def test_it_merges_and_splits(world: World, run: Run) -> None:
    """Two into the first one, and an episode off again."""
    one = world.find_anomaly("pump-7", id="e1")
    far: dict[str, Any] = {
        "started_ms": NOW_MS - 90_000_000,
        "end_ms": NOW_MS - 89_000_000,
        "parameter": "pressure",
    }
    other = world.find_anomaly("pump-7", id="e2", **far)
    assert run(one, other, "--do", "merge")[0] == 0
    code, split = run(one, "--do", "split", "--episode", "e2", "--if-version", "2")
    assert (code, len(split["done"])) == (0, 2)
    assert run(one, "--do", "split", "--episode", "e2", "--if-version", "2")[0] == 1


def test_what_was_merged_is_told_as_that(
    world: World, run: Run, technician: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """It is neither open nor unseen any more: nothing can be done to it, and it has nothing to prove."""
    far: dict[str, Any] = {"started_ms": NOW_MS - 90_000_000, "end_ms": NOW_MS - 89_000_000}
    one, other = world.find_anomaly("pump-7", id="e1"), world.find_anomaly("pump-7", id="e2", **far)
    run(one, other, "--do", "merge")
    assert main(["anomalies", other, *technician]) == 0
    line, *_, last = capsys.readouterr().out.splitlines()
    assert f"merged into {one}; version 2)" in line
    assert "unseen" not in line
    assert f"merged into: {one}" in last
    assert main(["explain", other, *technician]) == 1
    assert f"was merged into {one}" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ("--show", "nonsense"),
        ("--do", "resolve"),
        ("an_1", "--do", "wake"),
        ("an_1", "--if-version", "1"),
        ("an_1", "an_2", "--do", "resolve", "--if-version", "1"),
        ("an_1", "--do", "resolve", "--until", "5"),
        ("an_1", "--do", "resolve", "--episode", "e1"),
        ("an_1", "--note", "bearing replaced"),
        ("--until", "5"),
        ("an_1", "--to", "tom"),
        ("an_1", "--episode", "e1"),
        ("an_1", "--undo", "1"),
        ("--do", "resolve", "--undo", "1"),
    ],
)
def test_what_can_not_be_meant_is_a_usage_error(run: Run, words: tuple[str, ...]) -> None:
    """Exit code 2, and nothing is done."""
    assert run(*words)[0] == 2


def test_the_list_says_when_each_began_and_whether_there_are_more(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line is read without the page beside it."""
    ids = [world.find_anomaly(f"pump-{number}") for number in (1, 2)]
    with serving(world) as server:
        at = ["--url", f"http://127.0.0.1:{server.port}", "--token", world.key(Role.TECHNICIAN)]
        assert main(["anomalies", "--limit", "1", *at]) == 0
    line, end = capsys.readouterr().out.splitlines()
    assert re.match(rf"{ids[1]} [0-9]{{4}}-[0-9-]{{5}}T[0-9]{{2}}:[0-9]{{2}}Z pump-2: ", line), line
    assert end == "1 anomaly, and there are more: --limit shows them"
