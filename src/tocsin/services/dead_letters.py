"""Lines that were refused: listed, downloaded, sent again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from tocsin import threads
from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.clock import Clock
from tocsin.errors import ConflictError, NotFoundError
from tocsin.ingest.parsing.csv_rows import is_csv
from tocsin.ingest.parsing.line_code import LineCode
from tocsin.ingest.parsing.line_error import LineForm
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
"""What can be wrong with a CSV row; a letter without a form that has one of these may be a row or JSON."""

_PRODUCER: Final = "dead-letters"
_BARE_ROW: Final = (
    "This row of a CSV was kept without its header, which was too long or of an older version: "
    "download its body, put its header line above it, and send it as text/csv."
)
_NO_FORM: Final = (
    "An older version kept this line without what it was sent as, which its bytes do not tell for certain: "
    "download its body and send it as what it is."
)


@dataclass(frozen=True, slots=True)
class ListedLetter:
    """A dead letter, and when it was sent again and accepted (None = not yet)."""

    id: int
    letter: DeadLetter
    replayed_ms: int | None


class DeadLetters:
    """For operators, within their tenant. `holder_of(tenant, key_id)` knows credentials, revoked ones too."""

    def __init__(
        self,
        log: Log,
        ingest: Ingest,
        replays: Replays,
        audit: AuditTrail,
        clock: Clock,
        holder_of: Callable[[str, str], Principal | None],
    ) -> None:
        self._log = log
        self._ingest = ingest
        self._replays = replays
        self._audit = audit
        self._clock = clock
        self._holder_of = holder_of
        self._replaying = threads.lock()

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
        """Send the line again, for example after a limit was raised, as what it was sent as.

        Its devices must be in the scope of both, whoever asks and the credential that sent it, if that is
        known. A line that is refused again stays the dead letter it is. ConflictError for one that was
        accepted before, of which only the beginning was kept, for a row that is kept without its header, and
        for what is not one line. One at a time, so that nobody sends a line beside somebody else.
        """
        with self._replaying:
            return self._replayed(principal, self.one(principal, letter_id))

    def _replayed(self, principal: Principal, found: ListedLetter) -> Receipt:
        if found.replayed_ms is not None:
            raise ConflictError("This line has been sent again and accepted already.")
        if found.letter.code == LineCode.LINE_TOO_LONG:
            raise ConflictError("Only the beginning of this line was kept, so it can't be sent again.")
        content_type, body = _sent_as(found.letter)
        delivery = Delivery(
            logs=found.letter.form == LineForm.LOG_LINE,
            body=body,
            content_type=content_type,
            source="replay",
            keep_rejected=False,
            producer=_PRODUCER,
            sequence=str(found.id),  # should the process end before it is marked, it is not taken again
            one_line=True,
            on_behalf_of=self._sender(found.letter),
        )
        receipt = self._ingest.deliver_now(principal, delivery)
        if receipt.accepted == 1:
            self._replays.mark(principal.tenant, found.id, self._clock.now_ms())
        self._audit.did(principal, "dead_letter.replay", str(found.id))
        return receipt

    def _sender(self, letter: DeadLetter) -> Principal | None:
        """Whose line it was, revoked or not; None where that is not known (any more)."""
        return self._holder_of(letter.tenant, letter.sender) if letter.sender else None


def _sent_as(letter: DeadLetter) -> tuple[str, bytes]:
    """Content type and body that give the line its first meaning; ConflictError where there are none."""
    match letter.form:
        case LineForm.LINE | LineForm.LOG_LINE:
            return "application/x-ndjson", letter.body
        case LineForm.ELEMENT:
            return "application/json", b"[" + letter.body + b"]"  # an element that is an array stays one
        case LineForm.ROW:
            return "text/csv", letter.body
        case LineForm.BARE_ROW:
            raise ConflictError(_BARE_ROW)
    return _without_form(letter)


def _without_form(letter: DeadLetter) -> tuple[str, bytes]:
    """The same of a letter that an older version kept: only what is certain is sent."""
    if is_csv(letter.body):
        return "text/csv", letter.body
    if letter.code in _OF_FIELDS:
        raise ConflictError(_NO_FORM if letter.body.lstrip().startswith((b"{", b"[")) else _BARE_ROW)
    if b"\n" in letter.body:
        raise ConflictError(_NO_FORM)
    return "application/x-ndjson", letter.body
