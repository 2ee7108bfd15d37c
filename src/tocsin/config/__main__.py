"""`python -m tocsin.config > docs/reference/configuration.md` writes the reference page anew."""

import sys

from tocsin.config.reference import render_reference

if __name__ == "__main__":
    sys.stdout.write(render_reference())
