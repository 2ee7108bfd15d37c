"""Lines that were refused: listed, downloaded, sent again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.clock import Clock
from tocsin.errors import ConflictError, NotFoundError
from tocsin.ingest.parsing.csv_rows import is_csv
from tocsin.ingest.parsing.line_code import LineCode
from tocsin.log.abstract import DeadLetter, Log
from tocsin.services.audit import AuditTrail
from tocsin.services.ingest import Delivery, Ingest
from tocsin.services.receipt import Receipt
from tocsin.services.replays import Replays

PAGE_MAX: Final = 200
ID_MAX: Final = (1 << 63) - 1

_OF_FIELDS: Final = frozenset(
    {
        LineCode.INVALID_CSV,
        LineCode.MISSING_FIELD,
        LineCode.INVALID_TYPE,
        LineCode.INVALID_TIMESTAMP,
        LineCode.NAME_TOO_LONG,
        LineCode.NUMBER_NOT_FINITE,
        LineCode.NUMBER_OUT_OF_RANGE,
    }
)
"""What can be wrong with a CSV row; of JSON only an object or an array comes so far."""


@dataclass(frozen=True, slots=True)
class ListedLetter:
    """A dead letter, and when it was sent again and accepted (None = not yet)."""

    id: int
    letter: DeadLetter
    replayed_ms: int | None


class DeadLetters:
    """For operators, within their tenant."""

    def __init__(self, log: Log, ingest: Ingest, replays: Replays, audit: AuditTrail, clock: Clock) -> None:
        self._log = log
        self._ingest = ingest
        self._replays = replays
        self._audit = audit
        self._clock = clock

    def page(
        self, principal: Principal, *, after_id: int, limit: int
    ) -> tuple[Sequence[ListedLetter], int | None]:
        """Dead letters, oldest first, and the id to go on after, None at the end."""
        require(principal, Permission.OPERATE)
        limit = min(limit, PAGE_MAX)
        found = self._log.dead_letters(principal.tenant, after_id=after_id, limit=limit + 1)
        if not found:
            return [], None
        marked = self._replays.marked(principal.tenant, found[0].id, found[-1].id)
        listed = [ListedLetter(stored.id, stored.letter, marked.get(stored.id)) for stored in found]
        return (listed, None) if len(listed) <= limit else (listed[:limit], listed[limit - 1].id)

    def one(self, principal: Principal, letter_id: int) -> ListedLetter:
        """One dead letter; NotFoundError if the tenant has none of this id."""
        require(principal, Permission.OPERATE)
        found = self._log.dead_letter(principal.tenant, letter_id)
        if found is None:
            raise NotFoundError("There is no such dead letter.")
        marked = self._replays.marked(principal.tenant, letter_id, letter_id)
        return ListedLetter(found.id, found.letter, marked.get(found.id))

    def replay(self, principal: Principal, letter_id: int) -> Receipt:
        """Send the line again, for example after a limit was raised: as NDJSON, a CSV row under its header.

        A line that is refused again stays the dead letter it is. ConflictError for one that was
        accepted before, of which only the beginning was kept, or for a row that is kept without its header.
        """
        found = self.one(principal, letter_id)
        if found.replayed_ms is not None:
            raise ConflictError("This line has been sent again and accepted already.")
        if found.letter.code == LineCode.LINE_TOO_LONG:
            raise ConflictError("Only the beginning of this line was kept, so it can't be sent again.")
        delivery = Delivery(
            body=found.letter.body,
            content_type=_content_type(found.letter),
            source="replay",
            keep_rejected=False,
        )
        receipt = self._ingest.deliver_now(principal, delivery)
        if receipt.accepted:
            self._replays.mark(principal.tenant, letter_id, self._clock.now_ms())
        self._audit.did(principal, "dead_letter.replay", str(letter_id))
        return receipt


def _content_type(letter: DeadLetter) -> str:
    """What the line is; ConflictError for a row that only its header, which was not kept, could explain."""
    if is_csv(letter.body):
        return "text/csv"
    if letter.code in _OF_FIELDS and not letter.body.lstrip().startswith((b"{", b"[")):
        raise ConflictError(
            "This row of a CSV was kept without its header, which was too long or of an older version: "
            "download its body, put its header line above it, and send it as text/csv."
        )
    return "application/x-ndjson"
