"""What `tocsin serve` sees to before it serves anything."""

from __future__ import annotations

import re
import resource
import signal
import socket
from pathlib import Path

import pytest

from tocsin.access.store import AccessStore
from tocsin.cli.app import main
from tocsin.cli.serve import allow_many_files
from tocsin.clock import SystemClock


def test_serve_uses_all_files_it_may_open() -> None:
    """A low soft limit, 1,024 in most places, is raised to the hard one."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, before[1]), before[1]))
    try:
        allow_many_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_new_folder_shows_its_admin_key_though_its_port_is_taken(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What can't start says so; the key, which nobody can read again, was shown before and works."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            code = main(["serve", "--data", str(tmp_path / "data"), "--port", str(port)])
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    err = capsys.readouterr().err
    assert code == 2
    assert f"can't listen on 127.0.0.1, port {port}: Address already in use" in err
    found = re.search(r"Admin key, shown this once: (\S+)", err)
    assert found is not None
    access = AccessStore(tmp_path / "data" / "access.db", SystemClock())
    assert access.authenticate(found[1]).tenant == "default"
    access.close()
