"""The hash of what a detector found in a dump: what the digest of dumps adds up."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import xxhash

from tocsin.dump_detectors.abstract import Finding
from tocsin.processing.hashing import MASK_128, names_hash


def canonical(finding: Finding) -> bytes:
    """A finding as JSON whose bytes are the same wherever the finding is."""
    return msgspec.json.encode(finding, order="deterministic")


def decoded(finding: bytes) -> Finding:
    """The finding that `canonical` wrote."""
    return msgspec.json.decode(finding, type=Finding)


def findings_hash(
    tenant: str, device: str, detector: str, epoch: int, sequence: int, findings: Iterable[bytes]
) -> int:
    """128 bits over one judged dump, one without findings too. Versions, states and revisions stay out."""
    low, high = names_hash(tenant, device, detector, f"{epoch}.{sequence}")
    digest = xxhash.xxh3_128(low.to_bytes(8, "little") + high.to_bytes(8, "little"))
    for finding in findings:
        digest.update(len(finding).to_bytes(4, "little") + finding)
    return digest.intdigest()


def added(digest: str, *hashes: int) -> str:
    """A sum of hashes, as 32 hex digits, with these (negative: taken out) added modulo 2^128.

    >>> added(added("0" * 32, 5), -5) == "0" * 32
    True
    """
    return f"{(int(digest, 16) + sum(hashes)) & MASK_128:032x}"
