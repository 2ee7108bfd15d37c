"""What `tocsin serve` sees to before it opens anything."""

from __future__ import annotations

import resource

from tocsin.cli.serve import allow_many_files


def test_serve_uses_all_files_it_may_open() -> None:
    """A low soft limit, 1,024 in most places, is raised to the hard one."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, before[1]), before[1]))
    try:
        allow_many_files()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (before[1], before[1])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
