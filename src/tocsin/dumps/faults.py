"""Why an archive is refused: one code for each row of the table of bad input."""

from __future__ import annotations

from tocsin.errors import TocsinError


class ArchiveError(TocsinError):
    """The archive can't be read; nothing of it may be used, what was read before this neither."""

    code = "zip_malformed"
    status = 422


class ZipMalformedError(ArchiveError):
    """Cut off, overlapping, contradicting itself, with bytes that belong to nothing or a wrong checksum."""

    code = "zip_malformed"


class ZipLimitError(ArchiveError):
    """More members, bytes, compression or nesting than is allowed."""

    code = "zip_limit"


class ZipPathError(ArchiveError):
    """A name that would leave its folder, or a member that is no plain file."""

    code = "zip_path"


class ZipEncryptedError(ArchiveError):
    """A member is encrypted."""

    code = "zip_encrypted"


class ZipUnsupportedError(ArchiveError):
    """A member is packed in a way that is not read."""

    code = "zip_unsupported"
