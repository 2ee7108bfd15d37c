"""`python -m proof.subject` is `tocsin serve` in a hurry; PROOF_PLANT names a protection to take away.

At SIGUSR1 it writes what each of its threads does.
"""

from __future__ import annotations

import faulthandler
import os
import signal
import sys

from proof.subject.haste import hurry
from proof.subject.planting import plant

if __name__ == "__main__":
    from tocsin.cli import main

    faulthandler.register(signal.SIGUSR1)
    hurry()
    plant(os.environ.get("PROOF_PLANT", ""))
    sys.exit(main(["serve"]))
