"""What is wrong with a configuration, said so that it can be put right without reading code."""

from __future__ import annotations

from tocsin.errors import InvalidInputError


class ConfigError(InvalidInputError):
    """One line per mistake: where (file and line, or environment variable), which field, what is allowed."""

    code = "config_invalid"
