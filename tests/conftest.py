"""Before any test: forget compiled kernels when the source of one has changed, and choose how tests explore.

A CI run tries the same examples each time, so that it judges the commit; developers' runs try new ones. While
a bug is planted that a test fails is all there is to know, so nothing is made smaller.

A machine may lack what a test needs (Linux, the right to mount), and the test is skipped there. In CI
nothing may be lacking, so a test that is skipped has failed.
"""

from __future__ import annotations

import gc
import logging
import os
from collections.abc import Generator, Iterator

import pytest
from hypothesis import Phase, settings

from scripts.kernel_cache import are_stale, begin_anew

settings.register_profile("ci", derandomize=True, print_blob=True)
settings.register_profile("planted", derandomize=True, phases=(Phase.explicit, Phase.generate))
if os.environ.get("PLANTED_CODE_RAN"):
    settings.load_profile("planted")
elif os.environ.get("CI"):
    settings.load_profile("ci")


def pytest_configure(config: pytest.Config) -> None:
    """Delete stale kernels once, in the main process."""
    if hasattr(config, "workerinput") or getattr(config, "cache", None) is None:
        return  # who wants nothing kept from run to run sees to the kernels, too
    if are_stale():
        begin_anew()


def pytest_collection_finish() -> None:
    """What is loaded by now stays: the collector need not look at it again whenever tests leave something."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command run within a test sends logs to a standard error that is closed after it."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """In CI a skip is a failure."""
    report = yield
    if os.environ.get("CI") and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", f"{item.nodeid} was skipped in CI: {report.longrepr}"
    return report
