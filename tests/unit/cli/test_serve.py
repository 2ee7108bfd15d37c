"""What `tocsin serve` sees to before it serves anything."""

from __future__ import annotations

import re
import resource
import signal
import socket
from functools import partial
from pathlib import Path

import pytest

from tocsin.access.store import AccessStore
from tocsin.bootstrap import Application
from tocsin.cli.app import main
from tocsin.cli.opened import config_of, wait_until_caught_up
from tocsin.cli.serve import allow_many_files, show_admin_key, warn_without_tls
from tocsin.clock import SystemClock
from tocsin.config.sections import HttpConfig


def test_serve_uses_all_files_it_may_open() -> None:
    """A low soft limit, 1,024 in most places, is raised to the hard one."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, before[1]), before[1]))
    try:
        allow_many_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_no_admin_key_is_spent_on_a_port_that_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What can't start says so and makes no key; the next start shows one that works, once."""
    data = tmp_path / "data"
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            code = main(["serve", "--data", str(data), "--port", str(port)])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    err = capsys.readouterr().err
    assert code == 2
    assert f"can't listen on 127.0.0.1, port {port}: Address already in use" in err
    assert "Admin key" not in err

    for _ in range(2):
        application = Application(config_of(None, data, http_port=0))
        application.start(on_bound=partial(show_admin_key, application))
        wait_until_caught_up(application)
        assert all("default" in each.state.tenants for each in application.runtime.workers)  # settings came
        application.stop()
    (key,) = re.findall(r"Admin key, shown this once: (\S+)", capsys.readouterr().err)
    access = AccessStore(data / "access.db", SystemClock())
    assert access.authenticate(key).tenant == "default"
    access.close()


def test_a_dump_detector_that_is_not_installed_is_told_in_one_line_at_the_first_start(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is asked for when the first key is made, in the server's thread: no traceback, no key spent."""
    config = tmp_path / "tocsin.yaml"
    config.write_text("watch:\n  dump_detectors:\n    lgs: {}\n")
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = main(["serve", "--data", str(tmp_path / "data"), "--port", "0", "--config", str(config)])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    told = capsys.readouterr()
    assert code == 2
    assert "tocsin: invalid_input: dump_detectors: lgs: there is no dump detector 'lgs'" in told.err
    assert "Traceback" not in told.err + told.out
    assert "Admin key" not in told.err


@pytest.mark.parametrize(
    ("host", "warned"),
    [
        ("127.0.0.1", False),
        ("::1", False),
        ("localhost", False),
        ("0.0.0.0", True),  # noqa: S104 - not bound
        ("192.0.2.7", True),
        ("pumps.example.com", True),
    ],
)
def test_who_listens_beyond_this_machine_without_tls_is_warned(
    capsys: pytest.CaptureFixture[str], host: str, warned: bool
) -> None:
    """Nothing else would say it, and all of it works: that passwords are readable shows nowhere."""
    warn_without_tls(HttpConfig(host=host))
    assert ("set http.tls_cert and http.tls_key" in capsys.readouterr().err) == warned
