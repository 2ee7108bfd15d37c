"""`python -m proof.reliability > docs/reliability.md`: the page that people read before they trust Tocsin."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from proof.reliability import history
from proof.reliability.row import Row, rows_of

_INTRODUCTION = Path(__file__).with_name("introduction.txt")

_CAMPAIGNS = (
    ("simulation", "seeds", ("seed_failures",)),
    ("power", "power_loss_states", ("power_loss_lost", "power_loss_duplicated", "power_loss_corrupt")),
    ("kills", "kill_points", ("kill_failures",)),
    ("fuzz", "fuzz_executions", ("fuzz_failures",)),
    ("selftest", "planted", ("escaped",)),
)


def page() -> str:
    """The whole page."""
    return "\n".join(
        [
            _INTRODUCTION.read_text(),
            *_figures(),
            "## Faults\n",
            *_table("fault", rows_of("fault")),
            "## Bad input\n",
            *_table("input", rows_of("input")),
        ]
    )


def _figures() -> Iterator[str]:
    yield "## What was run\n"
    yield "| campaign | runs | tried | failures | last commit | last run |"
    yield "|---|---|---|---|---|---|"
    runs = history.lines()
    for what, tried, failed in _CAMPAIGNS:
        own = [run for run in runs if run["what"] == what]
        if not own:
            yield f"| {what} | 0 | not run yet | | | |"
            continue
        count, failures = history.total(own, tried), sum(history.total(own, name) for name in failed)
        last = f"`{own[-1]['commit']}` | {own[-1]['at'][:10]}"
        yield f"| {what} | {len(own)} | {count:,} {tried} | {failures} | {last} |"
    yield ""
    yield "Failures are those of the whole history. They were bugs, are mended, and stand in the changelog."
    yield "That of power loss, a store that refused to open, came once in more than 200,000 states; one like"
    yield "it showed why: a header torn between two sectors was taken for a lost commit"
    yield "(`test_a_commit_torn_over_an_older_generation_is_no_damage`)."
    yield ""


def _table(kind: str, rows: Sequence[Row]) -> Iterator[str]:
    yield f"| {kind} | outcome | shown by |"
    yield "|---|---|---|"
    for row in rows:
        shown = [f"`{test.rpartition('::')[2]}` in `{test.partition('::')[0]}`" for test in row.tests]
        shown += [row.command] if row.command else []
        yield f"| {row.name} | {row.outcome} | {'; '.join(shown) or f'not shown yet: {row.later}'} |"
    yield ""


if __name__ == "__main__":
    sys.stdout.write(page().rstrip() + "\n")
