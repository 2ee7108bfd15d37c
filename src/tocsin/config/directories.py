"""Where a tenant's directory is, and how much it is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, FilePath, HttpUrl, SecretStr, field_validator, model_validator

from tocsin.config.errors import ConfigError
from tocsin.config.section import Section

_Seconds = Annotated[float, Field(ge=1, le=366 * 86_400, allow_inf_nan=False)]
_CHARACTERS_MAX = 4_096


class DirectoryConfig(Section):
    """The directory of a tenant. Nobody who asks Tocsin waits for it; answers say how old they are."""

    url: HttpUrl = Field(
        description="Base URL of the third party; `/api/v1/technicians/…` and `/api/v1/devices/…` follow."
    )
    token: SecretStr | None = Field(
        default=None,
        description="Token sent as `Authorization: Bearer …`; best set by its variable. Shown masked.",
    )
    token_file: FilePath | None = Field(
        default=None, description="File that holds the token instead; read at the start."
    )
    timeout_s: Annotated[float, Field(ge=0.1, le=60, allow_inf_nan=False)] = Field(
        default=10, description="Seconds that an answer may take, whole; later it counts as none."
    )
    soft_s: _Seconds = Field(
        default=900,
        description="Age in seconds from which an answer is stale; lists are asked for a little before.",
    )
    hard_s: _Seconds = Field(
        default=604_800, description="Age in seconds from which an answer no longer counts."
    )
    again_s: _Seconds = Field(
        default=43_200, description="Seconds between two questions about a device that no list has."
    )
    at_once: int = Field(default=8, ge=1, le=64, description="Questions on their way at the same time.")
    requests_per_device_day: float = Field(
        default=2.5,
        gt=0,
        le=10_000,
        description="Most requests a day for each known device; what is due beyond that waits.",
    )
    requests_per_day_min: float = Field(
        default=10_000,
        ge=0,
        le=1e9,
        description="Requests a day that are allowed anyway, since few devices a technician need more.",
    )
    rows_max: int = Field(
        default=400_000, ge=1, le=10_000_000, description="Devices that are kept; further ones are not."
    )

    @field_validator("url")
    @classmethod
    def _nothing_but_an_address(cls, url: HttpUrl) -> HttpUrl:
        # a URL is printed and logged, the token is masked
        if url.username or url.password:
            raise ValueError("must not contain a user or password; put the credential in token")
        if url.query or url.fragment:
            raise ValueError("must end with a path: nothing behind ? or # is sent")
        return url

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        if self.token is not None and self.token_file is not None:
            raise ValueError("token and token_file must not be given together")
        return self

    @model_validator(mode="after")
    def _stale_before_it_counts_no_more(self) -> Self:
        if self.hard_s < self.soft_s:
            raise ValueError(f"hard_s ({self.hard_s:g}) must be at least soft_s ({self.soft_s:g})")
        return self

    def credential(self) -> str | None:
        """The token, read from its file where it has one; ConfigError, without it, where it can't be sent."""
        if self.token_file is None:
            found = None if self.token is None else self.token.get_secret_value()
        else:
            found = _read(self.token_file)
        if found is not None and not (found.isascii() and found.isprintable() and found.strip()):
            raise ConfigError(f"the token must be 1 to {_CHARACTERS_MAX} visible ASCII characters")
        return found


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(_CHARACTERS_MAX + 2)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(raw) > _CHARACTERS_MAX + 1:
        return ""  # no token is as long
    return raw.decode("latin-1").strip()
