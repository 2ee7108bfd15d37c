"""`python -m proof.endpoints > docs/reference/endpoints.md` writes the page anew."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from proof.endpoints.row import (
    DependencyRow,
    WorkRow,
    dependency_rows,
    endpoint_rows,
    job_rows,
    thread_rows,
)
from tocsin.api.app import bare_app

_INTRODUCTION: Final = Path(__file__).with_name("introduction.txt")
_PAGES: Final = Path(__file__).with_name("pages.txt")


def page() -> str:
    """The whole page."""
    jobs = {row.name: row for row in job_rows()}
    parts = [
        _INTRODUCTION.read_text().rstrip(),
        "",
        "| dependency | what it is | down | full | shown by |",
        "|---|---|---|---|---|",
        *(_dependency(row) for row in dependency_rows()),
        "",
        "## Endpoints",
        "",
        "*Needs* is called each time, *may need* depends on the question and on what there is. *Sets going*",
        "are jobs that take up what the request has left, after the answer; *in the end* is what these jobs,",
        "and those that they set going, need beside that.",
        "",
        *_endpoints(jobs),
        _PAGES.read_text().rstrip(),
        "",
        "## Jobs",
        "",
        "Each has a thread of its own. A full disk or a store that can't be used puts a round off, with a",
        "line in the log; any other failure ends the whole process, loudly, and the next start recovers.",
        "",
        "| job | when | needs | may need | sets going | and |",
        "|---|---|---|---|---|---|",
        *(_job(row) for row in jobs.values()),
        "",
        "Threads that are no jobs: they belong to HTTP or to a dependency.",
        "",
        "| thread | does |",
        "|---|---|",
        *(f"| `{name}` | {text} |" for name, text in thread_rows().items()),
    ]
    return "\n".join(parts) + "\n"


def reached(row: WorkRow, jobs: dict[str, WorkRow]) -> set[str]:
    """What the jobs that a request sets going may need, and those that they set going in turn."""
    waiting, seen = list(row.sets_going), set(row.sets_going)
    found: set[str] = set()
    while waiting:
        job = jobs[waiting.pop()]
        found |= job.needs | job.may
        waiting += job.sets_going - seen
        seen |= job.sets_going
    return found


def _dependency(row: DependencyRow) -> str:
    tests = [f"`{test.rpartition('::')[2]}`" for test in row.shown_by]
    return f"| `{row.name}` | {row.what} | {row.down} | {row.full} | {', '.join(tests)} |"


def _endpoints(jobs: dict[str, WorkRow]) -> Iterator[str]:
    rows = {row.name: row for row in endpoint_rows()}
    groups: dict[str, list[str]] = {}
    for path, operations in bare_app().openapi()["paths"].items():
        for method, operation in operations.items():
            groups.setdefault(operation["tags"][0], []).append(f"{method.upper()} {path}")
    for tag, names in groups.items():
        yield from (f"### {tag.capitalize()}", "")
        yield "| operation | needs | may need | sets going | in the end | limits and trade-offs |"
        yield "|---|---|---|---|---|---|"
        for row in (rows[name] for name in names):
            later = reached(row, jobs) - row.needs - row.may
            cells = (row.needs, row.may, row.sets_going, later)
            yield " | ".join([f"| `{row.name}`", *map(_names, cells), f"{row.text} |"])
        yield ""


def _job(row: WorkRow) -> str:
    return (
        f"| `{row.name}` | {row.when} | {_names(row.needs)} | {_names(row.may)} | {_names(row.sets_going)} "
        f"| {row.text} |"
    )


def _names(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "–"


if __name__ == "__main__":
    sys.stdout.write(page())
