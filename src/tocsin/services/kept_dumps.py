"""Dumps that are kept: what was decided about them, and their bytes for operators."""

from __future__ import annotations

from typing import Final

import msgspec

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.blobs.abstract import Blob, BlobStore
from tocsin.errors import NotFoundError
from tocsin.services.audit import AuditTrail
from tocsin.services.dump_claims import DumpId, Kept, logged_claim, sequence_claim
from tocsin.services.sight import Sight

NO_DUMP: Final = "There is no such dump."


class KeptDumps:
    """Sees what was acknowledged, within the tenant; thread-safe."""

    def __init__(self, blobs: BlobStore, audit: AuditTrail, sight: Sight) -> None:
        self._sight = sight
        self._blobs = blobs
        self._audit = audit

    def one(self, principal: Principal, dump: DumpId) -> Kept:
        """What was decided about the valid body of a sequence; NotFoundError if none was acknowledged."""
        require(principal, Permission.READ)
        self._sight.require(principal, dump.device, NO_DUMP)
        return self._kept(principal.tenant, dump)

    def open(self, principal: Principal, dump: DumpId, sha256: str = "") -> tuple[Blob, str]:
        """The bytes of the valid body, or of the one with this hash, and the hash; in the audit log.

        A bad archive and a body that lost against another are to be had as well. The caller closes.
        """
        require(principal, Permission.OPERATE)
        wanted = sha256 or self._kept(principal.tenant, dump).sha256
        if self._blobs.claimed(logged_claim(principal.tenant, dump, wanted)) is None:
            raise NotFoundError(NO_DUMP)
        blob = self._blobs.open(wanted)
        try:
            self._audit.did(principal, "dump.download", f"{dump}/{wanted}")
        except BaseException:
            blob.close()
            raise
        return blob, wanted

    def _kept(self, tenant: str, dump: DumpId) -> Kept:
        found = self._blobs.claimed(sequence_claim(tenant, dump))
        if found is None:
            raise NotFoundError(NO_DUMP)
        kept = msgspec.json.decode(found, type=Kept)
        if self._blobs.claimed(logged_claim(tenant, dump, kept.sha256)) is None:
            raise NotFoundError(NO_DUMP)  # it was on its way when its process ended
        return kept
