"""`tocsin maintenance` against a server."""

from __future__ import annotations

import json

import pytest

from tests.http_kit import NOW_MS, OWN, World
from tests.integration.http.test_maintenance import logged
from tests.integration.http.test_server import serving
from tocsin.access.principal import Role
from tocsin.cli.app import main

HOUR_MS = 3_600_000


def test_a_window_from_its_beginning_to_its_end(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Added, listed, ended; then listed only with those that are over."""
    world.fleet.add(OWN, "pump-7")
    with serving(world) as server:
        at = ("--url", f"http://127.0.0.1:{server.port}", "--token", world.key(Role.TECHNICIAN))
        when = ("--from", str(NOW_MS), "--to", str(NOW_MS + HOUR_MS))
        assert main(["maintenance", "add", "--device", "pump-7", *when, "--why", "oil", "--json", *at]) == 0
        made = json.loads(capsys.readouterr().out)
        assert main(["maintenance", "list", *at]) == 0
        assert "device pump-7" in (listed := capsys.readouterr().out)
        assert listed.endswith("holds): oil\n1 window\n")
        assert main(["maintenance", "end", made["id"], *at]) == 0
        assert "over, ended " in capsys.readouterr().out
        assert main(["maintenance", "list", *at]) == 0
        assert capsys.readouterr().out == "0 windows\n"
        assert main(["maintenance", "list", "--over", *at]) == 0
        assert made["id"] in capsys.readouterr().out
    assert [bool(each.spans) for each in logged(world)] == [True, False]


def test_what_a_window_keeps_back_is_said(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Learning too, or learning alone."""
    world.fleet.add(OWN, "pump-7")
    with serving(world) as server:
        at = ("--url", f"http://127.0.0.1:{server.port}", "--token", world.key(Role.OPERATOR))
        asked = ["maintenance", "add", "--device", "pump-7", "--from", str(NOW_MS), *at]
        asked += ["--to", str(NOW_MS + HOUR_MS), "--no-learn"]
        assert main(asked) == 0
        assert "holds; nothing is learnt)" in capsys.readouterr().out
        assert main([*asked, "--alert"]) == 0
        assert "holds; people are alerted; nothing is learnt)" in capsys.readouterr().out
    assert [(each.no_alert, each.no_learn) for each in logged(world)] == [(True, True), (False, True)]


def test_a_window_is_changed(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Only what is named; to name nothing is a mistake."""
    world.fleet.add(OWN, "pump-7")
    with serving(world) as server:
        at = ("--url", f"http://127.0.0.1:{server.port}", "--token", world.key(Role.OPERATOR))
        when = ("--from", str(NOW_MS), "--to", str(NOW_MS + HOUR_MS))
        assert main(["maintenance", "add", "--device", "pump-7", *when, "--why", "oil", "--json", *at]) == 0
        made = json.loads(capsys.readouterr().out)
        assert main(["maintenance", "change", made["id"], "--no-learn", "--json", *at]) == 0
        changed = json.loads(capsys.readouterr().out)
        assert main(["maintenance", "change", made["id"], *at]) == 2
        assert "say what is to change" in capsys.readouterr().err
    assert changed == made | {"no_learn": True, "version": 2}


def test_what_repeats_goes_on_without_an_end(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Its end is taken away; what does not repeat needs one, and nobody gives an end and takes it away."""
    world.fleet.add(OWN, "pump-7")
    with serving(world) as server:
        at = ("--url", f"http://127.0.0.1:{server.port}", "--token", world.key(Role.OPERATOR), "--json")
        when = ("--device", "pump-7", "--from", str(NOW_MS), "--to", str(NOW_MS + 30 * 24 * HOUR_MS))
        ids = []
        for more in (("--day", "saturday", "--hours", "22:00-02:00"), ()):
            assert main(["maintenance", "add", *when, *more, *at]) == 0
            ids.append(json.loads(capsys.readouterr().out)["id"])
        assert main(["maintenance", "change", ids[0], "--no-end", *at]) == 0
        assert json.loads(capsys.readouterr().out)["to_at"] is None
        assert main(["maintenance", "change", ids[1], "--no-end", *at]) != 0
        assert main(["maintenance", "change", ids[0], "--no-end", "--to", str(NOW_MS), *at]) == 2
        assert "--no-end" in capsys.readouterr().err


def test_what_repeats_is_told_in_words(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """Days, hours and their zone."""
    world.fleet.add(OWN, "pump-7")
    with serving(world) as server:
        at = ("--url", f"http://127.0.0.1:{server.port}", "--token", world.key(Role.OPERATOR))
        each = ("--day", "saturday", "--day", "sunday", "--hours", "22:00-02:00", "--timezone", "Europe/Rome")
        assert main(["maintenance", "add", "--application", "pumps", "--from", str(NOW_MS), *each, *at]) == 0
        assert "each saturday, sunday 22:00-02:00 Europe/Rome" in capsys.readouterr().out
        wrong = ["maintenance", "add", "--device", "pump-7", "--from", str(NOW_MS), "--hours", "late", *at]
        assert main(wrong) == 2


@pytest.mark.parametrize("of_days", [("--hours", "22:00-02:00"), ("--timezone", "Europe/Rome")])
def test_hours_without_a_day_are_not_passed_over(
    of_days: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    """Else the window would hold all the time from its beginning to its end."""
    when = ("--from", str(NOW_MS), "--to", str(NOW_MS + 72 * HOUR_MS))
    assert main(["maintenance", "add", "--device", "pump-7", *when, *of_days]) == 2
    assert "--day" in capsys.readouterr().err
