"""What requests and jobs may need; docs/reference/endpoints.md says what happens without it."""

from __future__ import annotations

from enum import StrEnum


class Dependency(StrEnum):
    """Named here alone: spans carry these names, and the page is checked against them."""

    ACCESS = "access"
    AUDIT = "audit"
    BLOBS = "blobs"
    CATALOGUE = "catalogue"
    CHECKPOINTS = "checkpoints"
    COMMIT = "commit"
    DIRECTORY = "directory"
    DISK = "disk"
    INBOX = "inbox"
    LAKE = "lake"
    LOG = "log"
    MAINTENANCE = "maintenance"
    PROCESSOR = "processor"
    QUERIES = "queries"
    REPLAYS = "replays"
    SCORES = "scores"
    STEPS = "steps"
    WORKERS = "workers"
