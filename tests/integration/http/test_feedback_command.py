"""`tocsin feedback` against a server."""

from __future__ import annotations

import pytest

from tests.http_kit import World, episode_of
from tests.integration.http.test_feedback import acted, given
from tests.integration.http.test_server import serving
from tocsin.access.principal import Role
from tocsin.cli.app import main
from tocsin.control import FeedbackKind


@pytest.mark.parametrize("word", ["false-alarm", "false_alarm"])
def test_kinds_are_understood_as_commands_and_as_pages_write_them(
    world: World, capsys: pytest.CaptureFixture[str], word: str
) -> None:
    """Pages, the API and histories have an underscore, and people copy what they read."""
    anomaly = world.find_anomaly("pump-7")
    world.fleet.previewed = [episode_of("pump-7")]
    with serving(world) as server:
        at = ("--url", f"http://127.0.0.1:{server.port}", "--token", world.key(Role.TECHNICIAN))
        assert main(["feedback", anomaly, word, "--preview", *at]) == 0
        assert "\n1 episode since " in capsys.readouterr().out
        assert main(["feedback", anomaly, word, *at]) == 0
        assert capsys.readouterr().out.endswith("in force from the next reading on\n")
        world.fleet.moved = [acted("", steps=1)]
        assert main(["feedback", anomaly, "withdrawn", *at]) == 0
        assert capsys.readouterr().out.endswith("the last answer acts no more\n")
    assert [each.kind for _, each in given(world)] == [FeedbackKind.FALSE_ALARM, FeedbackKind.WITHDRAWN]
