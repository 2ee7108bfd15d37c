"""All targets by name."""

from __future__ import annotations

from typing import Final

from proof.fuzz import archives, bodies, requests, stored
from proof.fuzz.target import Target

TARGETS: Final[dict[str, Target]] = {
    target.name: target for target in (*bodies.TARGETS, *stored.TARGETS, *requests.TARGETS, *archives.TARGETS)
}
