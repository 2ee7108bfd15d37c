"""Record types, made ready before threads share them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

_OWN: Final = "tocsin"


def prepare_structs(package: str = _OWN) -> None:
    """Have msgspec look into every record type of a package, with those of its fields; milliseconds.

    Otherwise it does so when the first one is decoded. A second thread that decodes the same type meanwhile
    reads what is half done, and the process ends by a signal (seen with msgspec 0.22.0). To be called before
    any thread starts, once all modules are loaded. Threads may decode what was prepared as they like.
    """
    for kind in _below(msgspec.Struct):
        if kind.__module__.partition(".")[0] == package:
            msgspec.json.Decoder(kind)


def _below(kind: type[msgspec.Struct]) -> Iterator[type[msgspec.Struct]]:
    for each in kind.__subclasses__():
        yield each
        yield from _below(each)
