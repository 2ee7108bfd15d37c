"""/v1/digest: what every runtime must agree on."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from tocsin.api.dependencies import PrincipalOf, ServicesOf
from tocsin.api.openapi import answers

router = APIRouter(tags=["digest"])


class DigestView(BaseModel):
    """Hex digests and counts as of everything committed.

    `final` is final only when `pending` is 0; `caught_up` says that all that was acknowledged is in, dumps
    that wait for detectors included. `digest_dumps` is over what these found.
    """

    digest_raw: str
    digest_scored: str
    digest_final: str
    digest_dumps: str
    counts: dict[str, int]
    pending: int
    dumps_unjudged: int
    caught_up: bool


@router.get("/v1/digest", summary="Read the digests", responses=answers())
def read_digest(services: ServicesOf, principal: PrincipalOf) -> DigestView:
    """The digests of the tenant, over all its series and dumps; grows with their number, so don't poll it."""
    digest = services.digest.of(principal)
    return DigestView(
        digest_raw=digest.digest_raw,
        digest_scored=digest.digest_scored,
        digest_final=digest.digest_final,
        digest_dumps=digest.digest_dumps,
        counts=dict(digest.counts),
        pending=digest.pending,
        dumps_unjudged=digest.dumps_unjudged,
        caught_up=digest.caught_up,
    )
