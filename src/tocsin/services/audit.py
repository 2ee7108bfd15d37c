"""The audit log as the services write and admins read it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from tocsin.access.audit import AuditLog
from tocsin.access.audit_entry import AuditEntry, Outcome, StoredEntry
from tocsin.access.permissions import Permission, require
from tocsin.access.person import Person
from tocsin.access.principal import Principal
from tocsin.access.store import DEFAULT_TENANT
from tocsin.clock import Clock
from tocsin.observability.meters import Meters
from tocsin.observability.metrics import AUDIT_ENTRIES

PAGE_MAX: Final = 200


class AuditTrail:
    """Who did what, and who was refused."""

    def __init__(self, log: AuditLog, clock: Clock, meters: Meters) -> None:
        self._log = log
        self._clock = clock
        self._meters = meters

    def refused(self, principal: Principal | None, action: str, object_: str, address: str, why: str) -> None:
        """A request that was not let through; returns at once, the entry is written behind."""
        self._record(principal, action, object_, Outcome.DENIED, address, why)

    def not_let_in(self, person: Person | None, address: str) -> None:
        """A sign-in that failed. What was typed for the name is not kept: people type passwords there."""
        object_, tenant = ("", "") if person is None else (person.person_id, person.tenant)
        self._record(
            None, "session.start", object_, Outcome.DENIED, address, "unauthenticated", tenant=tenant
        )

    def did(self, principal: Principal, action: str, object_: str) -> None:
        """What an operator or admin has done; durable on return."""
        self._record(principal, action, object_, Outcome.ALLOWED, principal.address, "")
        self._log.flush()

    @contextmanager
    def before(self, principal: Principal, action: str) -> Iterator[Callable[[str], None]]:
        """For what can't be given twice, such as a token: call what this yields, with the object, before
        it is done for good; it is `did`. If that or the deed fails, a second entry says so.
        """
        told: list[str] = []

        def did(object_: str) -> None:
            told.append(object_)
            self.did(principal, action, object_)

        try:
            yield did
        except BaseException:
            if told:
                why = "nothing was made"
                self._record(principal, action, told[0], Outcome.FAILED, principal.address, why)
            raise

    def page(
        self, principal: Principal, *, before: int | None, limit: int
    ) -> tuple[Sequence[StoredEntry], int | None]:
        """Entries of the principal's tenant, newest first, and the sequence to go on before.

        Those who run the installation also see what concerns no tenant: requests without a known credential.
        """
        require(principal, Permission.ADMINISTER)
        limit = min(limit, PAGE_MAX)
        found = self._log.entries(
            principal.tenant, nobodys=principal.tenant == DEFAULT_TENANT, before=before, limit=limit + 1
        )
        return (found, None) if len(found) <= limit else (found[:limit], found[limit - 1].sequence)

    def _record(
        self,
        principal: Principal | None,
        action: str,
        object_: str,
        outcome: Outcome,
        address: str,
        detail: str,
        *,
        tenant: str = "",
    ) -> None:
        self._meters.add(AUDIT_ENTRIES, 1, outcome=outcome.value)
        entry = AuditEntry(
            tenant=principal.tenant if principal else tenant,
            at_ms=self._clock.now_ms(),
            actor=principal.key_id if principal else "",
            action=action,
            object=object_,
            outcome=outcome,
            address=address,
            detail=detail,
        )
        self._log.record(entry)
