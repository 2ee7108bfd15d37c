"""`python -m tocsin.api > docs/reference/api.md` writes the reference page anew."""

import sys

from tocsin.api.reference import render_reference

if __name__ == "__main__":
    sys.stdout.write(render_reference())
