"""What an undisturbed backtest makes of the same bodies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from proof.subject.traffic import Body
from tocsin.config import Config
from tocsin.files import open_events
from tocsin.files.mapping import Mapping as Columns
from tocsin.processing.hashing import combine
from tocsin.runtimes.backtest.run import Backtest, BacktestOptions
from tocsin.services.digest import Digest

STATUSES: Final = (
    *("scored", "duplicate", "conflict", "late"),
    *("unscored_text", "unscored_clock", "unscored_quarantined", "pending"),
)


def expected_of(bodies: Sequence[Body], scratch: Path, config: Config) -> tuple[dict[str, str], int]:
    """The digests `raw` and `final`, and the readings accepted; lines that are refused are left out."""
    file = scratch / "bodies.ndjson"
    file.write_bytes(b"\n".join(body.payload for body in bodies) + b"\n")
    options = BacktestOptions(out=scratch, settings=config.settings_of("default"), write_verdicts=False)
    backtest = Backtest(options)
    backtest.feed(open_events(file, Columns()), lambda _: None)
    backtest.correct()
    results = backtest.results()
    return {name: combine(sums) for name, sums in results.sums.items()}, results.counts["accepted"]


def differences(found: Digest, digests: Mapping[str, str], accepted: int) -> list[str]:
    """Where a settled Tocsin differs from the undisturbed run, in words; conservation is exact or named."""
    problems = []
    for name, value in (("raw", found.digest_raw), ("final", found.digest_final)):
        if value != digests[name]:
            problems.append(f"digest_{name} is {value}, undisturbed {digests[name]}")
    counts = found.counts
    if counts.get("accepted", 0) != accepted:
        problems.append(f"accepted {counts.get('accepted', 0)}, undisturbed {accepted}")
    kept = sum(counts.get(status, 0) for status in STATUSES)
    if counts.get("accepted", 0) != kept:
        problems.append(f"conservation: accepted {counts.get('accepted', 0)}, {kept} accounted for: {counts}")
    return problems
