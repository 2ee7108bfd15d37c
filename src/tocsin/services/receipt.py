"""What a sender is told about a body, kept with the body's records so that a retry hears the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec

from tocsin.errors import PROBLEM_BASE, InvalidInputError
from tocsin.ingest.parsing.line_error import LineError

LINES_TOLD_MAX: Final = 100


@dataclass(frozen=True, slots=True)
class Receipt:
    """`body` is JSON; `repeated` says that it was first given to an earlier request."""

    status: int
    body: bytes
    repeated: bool = False

    @property
    def accepted(self) -> int:
        """How many lines were accepted."""
        return told_by(self).accepted

    @property
    def rejected(self) -> int:
        """How many lines were refused."""
        return told_by(self).rejected


class Told(msgspec.Struct):
    """The members of a receipt that are read back; a body without `status` was answered 200."""

    received: int = 0
    accepted: int = 0
    rejected: int = 0
    dead_letters_left_out: int = 0
    status: int = 200


_READ_BACK: Final = msgspec.json.Decoder(Told)


def receipt_of(
    accepted: int,
    errors: Sequence[LineError],
    warnings: Sequence[LineError],
    warnings_total: int,
    dead_letters_left_out: int = 0,
) -> Receipt:
    """The first answer to a body: a problem if it had lines and all of them were bad.

    `dead_letters_left_out` counts the refused lines that are not kept, since they are too many.
    """
    members: dict[str, Any] = {
        "received": accepted + len(errors),
        "accepted": accepted,
        "rejected": len(errors),
        "repeated": 0,
        "errors": _told(errors),
        "errors_left_out": max(0, len(errors) - LINES_TOLD_MAX),
        "dead_letters_left_out": dead_letters_left_out,
        "warnings": _told(warnings),
        "warnings_left_out": max(0, warnings_total - LINES_TOLD_MAX),
    }
    status = HTTPStatus.OK
    if errors and not accepted:
        status = HTTPStatus.BAD_REQUEST
        members |= {
            "type": PROBLEM_BASE + InvalidInputError.code,
            "title": status.phrase,
            "status": status.value,
            "code": InvalidInputError.code,
            "detail": "No line could be accepted; `errors` says why. They are kept as dead letters, but for "
            "`dead_letters_left_out` of them.",
        }
    return Receipt(status.value, msgspec.json.encode(members))


def repeated_receipt(answer: bytes) -> Receipt:
    """The first answer again."""
    return Receipt(_READ_BACK.decode(answer).status, answer, repeated=True)


def told_by(receipt: Receipt) -> Told:
    """How many lines the receipt speaks of."""
    return _READ_BACK.decode(receipt.body)


def _told(errors: Sequence[LineError]) -> list[dict[str, Any]]:
    return [
        {"line": error.line, "code": error.code, "field": error.field, "detail": error.detail}
        for error in errors[:LINES_TOLD_MAX]
    ]
