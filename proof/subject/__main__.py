"""`python -m proof.subject` is `tocsin serve` in a hurry; PROOF_PLANT names a protection to take away."""

from __future__ import annotations

import os
import sys

from proof.subject.haste import hurry
from proof.subject.planting import plant

if __name__ == "__main__":
    from tocsin.cli import main

    hurry()
    plant(os.environ.get("PROOF_PLANT", ""))
    sys.exit(main(["serve"]))
