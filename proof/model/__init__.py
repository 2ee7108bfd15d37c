"""An independent model of the telemetry path: what a log of events and control records must lead to.

Plain Python, one record at a time, standard library only (and xxhash for the row hashes). It is written from
docs/explanation, docs/adr and the glossary and shares no code with the product: an import contract says so.
`expected` in run.py is the one entry; it says what is compared.

| file | follows |
|---|---|
| ordering.py, device.py, corrections.py, rules.py, zones.py | docs/explanation/ordering-and-late-data.md |
| seasonal.py, tail.py | docs/explanation/seasonal.md |
| health.py | docs/explanation/health.md |
| policy.py, episodes.py | docs/explanation/episodes.md |
| digest.py | docs/explanation/digests.md |
| log_silence.py | docs/explanation/episodes.md, docs/adr/0071-silence-of-logs-by-the-hour-of-the-day.md |
| dumps.py | docs/adr/0039-the-order-of-dumps-follows-from-decisions.md |
| tally.py | docs/adr/0041-steps-of-dumps-are-committed-one-by-one.md |
| inbox.py | docs/adr/0010-one-anomaly-per-cause.md |
| maintenance.py, windows.py, revisions.py | docs/how-to/maintain.md |
| people.py | docs/explanation/handling.md |
"""

from proof.model.run import Expected, expected

__all__ = ["Expected", "expected"]
