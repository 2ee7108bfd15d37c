"""Differential fuzzer: the fast reader must answer as the careful one, and nothing may crash.

`python -m tests.fuzz.parser --seconds 60 --seed 1`; the last line is a JSON object, the exit status 1
after a difference or a crash. A run with the same seed tries the same bodies in the same order.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import json
import math
import random
import sys
import time
from dataclasses import asdict, dataclass, field

import pyarrow as pa

from tests.fuzz.mutations import mutated
from tests.parsing_kit import ARROW, CSV, JSON, Reader, arrow_stream, difference, parse
from tocsin.errors import TocsinError
from tocsin.ingest.parsing.careful import parse_ndjson_carefully
from tocsin.ingest.parsing.fast import parse_ndjson
from tocsin.ingest.parsing.limits import ParseLimits

_FAILURES_MAX = 10
_LIMITS = (
    ParseLimits(),
    ParseLimits(lines=3),
    ParseLimits(line_bytes=90, depth=2, name_characters=7),
)
_ARROW = arrow_stream(pa.table({"device": ["a", "b"], "ts": [1, 2], "x": [1.5, None], "s": ["on", None]}))


@dataclass
class Report:
    """What a run tried and what went wrong: (what, body in base 64)."""

    seed: int
    executions: int = 0
    failures: list[tuple[str, str]] = field(default_factory=list)


def fuzz(
    seconds: float, seed: int, reader: Reader = parse_ndjson, executions_max: float = math.inf
) -> Report:
    """Try bodies for so long, or so many, or until ten have failed."""
    rng = random.Random(seed)
    report = Report(seed)
    end = time.monotonic() + seconds
    while (
        time.monotonic() < end and report.executions < executions_max and len(report.failures) < _FAILURES_MAX
    ):
        body = mutated(rng)
        fault = difference(parse_ndjson_carefully, reader, body, rng.choice(_LIMITS))
        if not fault and report.executions % 4 == 0:
            body, fault = _crash_elsewhere(body, rng)
        if fault:
            report.failures.append((fault, base64.b64encode(body).decode()))
        report.executions += 1
    return report


def _crash_elsewhere(body: bytes, rng: random.Random) -> tuple[bytes, str]:
    """The body in another content type, and the exception that is no answer, "" if there is none."""
    content_type = rng.choice((JSON, CSV, ARROW))
    if content_type == JSON:
        body = b"[" + b",".join(body.splitlines()) + rng.choice((b"]", b"", b",]", b"]]"))
    elif content_type == CSV:
        body = b"device,ts,x,y\n" + body.replace(b":", b",")
    else:
        at = rng.randrange(len(_ARROW))
        body = _ARROW[:at] + body[:1] + _ARROW[at + 1 :]
    encoding = rng.choice(("", "gzip"))
    try:
        parse(gzip.compress(body, 1) if encoding else body, content_type, encoding)
    except TocsinError:
        return body, ""
    except Exception as error:  # noqa: BLE001 - any other exception is what is looked for
        return body, f"{content_type}: {error!r}"[:500]
    return body, ""


def main() -> int:
    """Fuzz, print what was found, 1 if there was anything."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--seconds", type=float, default=60)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    report = fuzz(given.seconds, given.seed)
    for what, body in report.failures:
        sys.stdout.write(f"{what}\n  {base64.b64decode(body)!r}\n")
    sys.stdout.write(json.dumps(asdict(report) | {"failures": len(report.failures)}) + "\n")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
