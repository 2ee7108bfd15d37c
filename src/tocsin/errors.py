"""Errors that people see: each has a stable code, and says what is wrong and what to do."""

from __future__ import annotations

from typing import Final

PROBLEM_BASE: Final = "https://tocsin.readthedocs.io/problems/#"  # a code follows


class TocsinError(Exception):
    """Base of every error that is an answer, not a bug.

    `code` is stable and documented; `status` is the HTTP status that carries it; `retry_after_s` is
    set where trying again later is the thing to do.
    """

    code: str = "error"
    status: int = 500

    def __init__(self, detail: str, *, field: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(detail)
        self.detail: Final = detail
        self.field: Final = field
        self.retry_after_s: Final = retry_after_s


class InvalidInputError(TocsinError):
    """The request or file can't be understood; the detail names the place and the remedy."""

    code = "invalid_input"
    status = 400


class UnauthenticatedError(TocsinError):
    """No credential, or one that is unknown, expired or revoked."""

    code = "unauthenticated"
    status = 401


class ForbiddenError(TocsinError):
    """The credential is good, but not for this."""

    code = "forbidden"
    status = 403


class PasswordChangeRequiredError(TocsinError):
    """Whoever has signed in with a one-time password chooses another one first."""

    code = "password_change_required"
    status = 403


class NotFoundError(TocsinError):
    """There is no such object, or none that this credential may see."""

    code = "not_found"
    status = 404


class ConflictError(TocsinError):
    """The object has changed, or the same key came with another body."""

    code = "conflict"
    status = 409


class PreconditionFailedError(TocsinError):
    """The object has changed since the version that the request was meant for: nothing was done."""

    code = "precondition_failed"
    status = 412


class PreconditionRequiredError(TocsinError):
    """This changes what others may change too: say which version it is meant for, by If-Match."""

    code = "precondition_required"
    status = 428


class TooLargeError(TocsinError):
    """A body or record is over its limit, also after decompression."""

    code = "too_large"
    status = 413


class UnsupportedMediaError(TocsinError):
    """Content type or encoding is none of those that are read."""

    code = "unsupported_media_type"
    status = 415


class BackpressureError(TocsinError):
    """A bounded queue is full: nothing was kept, try again after `retry_after_s`."""

    code = "overloaded"
    status = 503


class RateLimitedError(TocsinError):
    """This credential has used up its share: nothing was kept, try again after `retry_after_s`."""

    code = "rate_limited"
    status = 429


class StorageFullError(TocsinError):
    """The disk is full: nothing was kept; free space and try again."""

    code = "storage_full"
    status = 507


class StorageUnavailableError(TocsinError):
    """The store can't be opened or written (read-only, unreachable, wrong version): nothing was kept."""

    code = "storage_unavailable"
    status = 503


class CorruptError(TocsinError):
    """Stored bytes do not match their hash: what was read is not used; `tocsin doctor` names the place."""

    code = "corrupt"
    status = 500


class FencedError(TocsinError):
    """Another writer with a newer epoch has taken over; this one must stop."""

    code = "fenced"
    status = 500
