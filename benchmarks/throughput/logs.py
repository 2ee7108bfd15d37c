"""Log lines to templates on one core, and drain3 on the first of the same lines in the same run.

The lines are those of simulated machines, six components with formats of their own, in memory. Both count
this thread's own seconds and start with a warm state. drain3 is given its lines decoded and cut, and a mask
of numbers; what it makes of the heads of lines is not counted against it.
"""

from __future__ import annotations

import io
import json
import tempfile
import time
import zipfile
from itertools import pairwise
from pathlib import Path

from drain3 import TemplateMiner
from drain3.masking import MaskingInstruction
from drain3.template_miner_config import TemplateMinerConfig

from tocsin.cli.app import main as tocsin
from tocsin.templates.miner import Miner

ROUNDS = 5
PIECE_BYTES = 1 << 20
DRAIN_LINES = 30_000


def lines_of_machines() -> bytes:
    """What two machines write in two days, component after component."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "dumps"
        if tocsin(["simulate", "dumps", "--out", str(out), "--devices", "2", "--days", "2"]):
            raise RuntimeError("no dumps were made")
        parts = []
        for path in sorted(out.glob("*/*.zip")):
            with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as archive:
                parts += [archive.read(name) for name in archive.namelist()]
    return b"".join(part if part.endswith(b"\n") else part + b"\n" for part in parts if part)


def mib_per_s(raw: bytes) -> float:
    """The median of some rounds."""
    places = [*range(0, len(raw), PIECE_BYTES), len(raw)]
    pieces = [raw[start:end] for start, end in pairwise(places)]
    miner = Miner()
    rates = []
    for _ in range(ROUNDS + 1):
        started_s = time.thread_time()
        for _ in miner.mine(pieces):
            pass
        rates.append(len(raw) / (time.thread_time() - started_s) / 2**20)
    return sorted(rates[1:])[ROUNDS // 2]


def drain_mib_per_s(raw: bytes) -> float:
    """The same lines through drain3, the second time that it sees them."""
    config = TemplateMinerConfig()
    config.masking_instructions = [MaskingInstruction(r"(?<!\w)[-+]?[0-9.]+(?!\w)", "NUM")]
    drain = TemplateMiner(config=config)
    lines = raw.decode("utf-8", "backslashreplace").split("\n")[:DRAIN_LINES]
    for line in lines:
        drain.add_log_message(line)
    started_s = time.thread_time()
    for line in lines:
        drain.add_log_message(line)
    return sum(map(len, lines)) / (time.thread_time() - started_s) / 2**20


def main() -> None:
    """Print the figures."""
    raw = lines_of_machines()
    own, drain = mib_per_s(raw), drain_mib_per_s(raw)
    figures = {
        "templates_mib_per_s_per_core": round(own, 1),
        "templates_over_drain3": round(own / drain, 1),
        "drain3_mib_per_s": round(drain, 2),
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
