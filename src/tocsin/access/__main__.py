"""`python -m tocsin.access > docs/reference/roles.md` writes the reference page anew."""

import sys

from tocsin.access.permissions import render_reference

if __name__ == "__main__":
    sys.stdout.write(render_reference())
