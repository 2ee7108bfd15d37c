"""`python -m tocsin.observability > docs/reference/metrics.md` writes the reference page anew."""

import sys

from tocsin.observability.metrics import render_reference

if __name__ == "__main__":
    sys.stdout.write(render_reference())
