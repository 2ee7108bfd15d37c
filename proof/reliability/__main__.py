"""`python -m proof.reliability > docs/reliability.md`: the page that people read before they trust Tocsin."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from proof.reliability import history
from proof.reliability.row import Row, rows_of

_INTRODUCTION = """\
# Reliability

What Tocsin promises when things go wrong, and how each promise is tested. This page is made from
`proof/reliability/rows.toml` and `proof/history.ndjson`; a test checks that every test named here exists.

- **Nothing that was acknowledged is lost or counted twice**, whatever fails, at whatever moment.
- **The results are those of a run without the fault**: the digests `raw` and `final` are equal, and the sums of the
  [conservation law](glossary.md) come out exactly.
- **What cannot be promised:** the embedded runtime keeps its data on one disk. If that disk is gone, so are they.

You need not believe it: [break Tocsin yourself](how-to/break-tocsin.md) in five minutes.

## How it is tested

| method | what it does | command |
|---|---|---|
| simulation | the whole system in one process; a seed decides the order of threads, the network, the disk, crashes and clocks; ends by comparing with a model written a second time, from the documents alone | `tocsin-sim SEED` |
| power loss | records each system call of a real server, then builds disks as a power cut could have left them: writes dropped, torn or reordered, names missing | `python -m proof.power` |
| crash points | ends a real server at each write, sync and rename, or lets that call fail; it starts again, the sender repeats | `python -m proof.kills` |
| planted bugs | puts small mistakes into a copy of the code; the checks must find every one | `make proof-selftest` |
| fuzzing | feeds parsers, decoders and the whole API with what nobody would send | `python -m proof.fuzz` |
| a second engine | runs the same function on Spark and compares digests | `make test-services` |
"""

_CAMPAIGNS = (
    ("simulation", "seeds", "seed_failures"),
    ("power", "power_loss_states", "power_loss_lost"),
    ("kills", "kill_points", "kill_failures"),
    ("fuzz", "fuzz_executions", "fuzz_failures"),
    ("selftest", "planted", "escaped"),
)


def page() -> str:
    """The whole page."""
    return "\n".join(
        [
            _INTRODUCTION,
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
        count, failures = history.total(own, tried), history.total(own, failed)
        last = own[-1]
        yield f"| {what} | {len(own)} | {count:,} {tried} | {failures} | `{last['commit']}` | {last['at'][:10]} |"
    yield ""
    yield "Failures are those of the whole history: each one was a bug, is mended, and stands in the changelog."
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
