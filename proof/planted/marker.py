"""How changed code shows that it ran: compiled code prints a word, other code writes to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Final

PLACE: Final = "{ran}"
WORD: Final = "tocsin-planted-code-ran"
VARIABLE: Final = "PLANTED_CODE_RAN"
"""Names the file that changed code writes to. One with TOCSIN_ would be a setting, which servers refuse."""

MODULE: Final = '''"""Written by the harness that plants bugs: shows that changed code ran."""

import os

_noted = False


def ran() -> None:
    """Write one byte to the file that the harness watches, once a process."""
    global _noted
    if not _noted:
        _noted = True
        file = os.open(os.environ["PLANTED_CODE_RAN"], os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.write(file, b".")
        os.close(file)
'''


def statement(kernel: bool) -> str:
    """The statement that shows it; it fits on the line of another statement."""
    return f'print("{WORD}")' if kernel else '__import__("tocsin._planted")._planted.ran()'


def has_run(watched: Path, output: Path) -> bool:
    """Whether the changed code has run in the process that wrote `output`, or in any that it started."""
    return watched.exists() or WORD in output.read_text(errors="replace")
