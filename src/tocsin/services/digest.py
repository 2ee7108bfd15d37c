"""The digests of a tenant: what every runtime must agree on."""

from __future__ import annotations

from typing import Protocol

import msgspec

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal


class Digest(msgspec.Struct, frozen=True, kw_only=True):
    """Hex digests and the counts of the conservation law, as of everything committed.

    `digest_dumps` is over what dump detectors found, corrections included. `pending` counts corrections that
    have not run yet: `final` is final only at 0. `dumps_unjudged` have not been shown to all detectors yet.
    """

    digest_raw: str
    digest_scored: str
    digest_final: str
    digest_dumps: str
    counts: dict[str, int]
    pending: int
    dumps_unjudged: int
    caught_up: bool


class Digests(Protocol):
    """Combines the series' sums; the runtime offers it."""

    def digest(self, tenant: str) -> Digest:
        """The digests over all series of a tenant."""
        ...


class DigestReport:
    """Answers for the principal's tenant."""

    def __init__(self, digests: Digests) -> None:
        self._digests = digests

    def of(self, principal: Principal) -> Digest:
        """The tenant's digests; blocks while they are combined."""
        require(principal, Permission.OPERATE)
        return self._digests.digest(principal.tenant)
