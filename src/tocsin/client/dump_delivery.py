"""In what order dumps are sent, how often, and where their connections break: for tests of a server."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from tocsin.client.dump_folder import DumpFile
from tocsin.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Delivery:
    """A dump that is sent once. Its first tries are cut, each after its share of the dump's bytes.

    1 cuts when all was sent, so that the answer is lost.
    """

    dump: DumpFile
    cuts: tuple[float, ...] = ()


class _Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    device: str
    sequence: int
    epoch: int = 0
    cuts: tuple[float, ...] = ()


def read_delivery(path: Path, dumps: Iterable[DumpFile]) -> Sequence[Delivery]:
    """The plan in a file of lines `{"device": …, "sequence": …, "cuts": […]}`, for dumps that were found.

    InvalidInputError names a line that is none, or a dump that is not there.
    """
    found = {(dump.device, dump.epoch, dump.sequence): dump for dump in dumps}
    plan = []
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise InvalidInputError(f"{path} can't be read: {error.strerror}", field="delivery") from error
    for number, line in enumerate(lines, 1):
        try:
            row = msgspec.json.decode(line, type=_Row)
        except msgspec.MsgspecError as error:
            raise InvalidInputError(f"{path}, line {number}: {error}", field="delivery") from error
        dump = found.get((row.device, row.epoch, row.sequence))
        if dump is None:
            raise InvalidInputError(
                f"{path}, line {number}: there is no dump {row.sequence} of {row.device!r}", field="delivery"
            )
        if not all(0 <= share <= 1 for share in row.cuts):
            raise InvalidInputError(f"{path}, line {number}: cuts are shares, 0 to 1", field="delivery")
        plan.append(Delivery(dump, row.cuts))
    return plan
