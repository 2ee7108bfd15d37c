"""What is kept about a credential, and what a new one may ask for."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from tocsin.access.principal import Role
from tocsin.errors import InvalidInputError
from tocsin.tenant_names import TENANT_RULE, is_tenant_name

DEVICES_MAX: Final = 100_000
PATTERNS_MAX: Final = 100
NAME_CHARACTERS_MAX: Final = 256


class CredentialKind(StrEnum):
    """Whom a credential was made for."""

    DEVICE = "device"  # speaks for one device
    GATEWAY = "gateway"  # speaks for several devices
    API_KEY = "api_key"  # people and programs


class NewCredential(msgspec.Struct, frozen=True, kw_only=True):
    """What a credential is asked to be.

    `roles` are for API keys; tokens of devices and gateways always have the role device. `devices` and
    `patterns` (with `*`) name the devices it speaks for; `all_devices` means every one of the tenant.
    """

    tenant: str
    kind: CredentialKind
    name: str
    roles: tuple[Role, ...] = ()
    devices: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    all_devices: bool = False
    expires_ms: int | None = None


class Credential(msgspec.Struct, frozen=True, kw_only=True):
    """A credential as it is kept; its secret is known to nobody but its holder.

    `last_used_ms` is right to about a minute. Times are milliseconds since 1970, UTC.
    """

    key_id: str
    tenant: str
    kind: CredentialKind
    name: str
    roles: tuple[Role, ...]
    devices: tuple[str, ...]
    patterns: tuple[str, ...]
    all_devices: bool
    created_ms: int
    created_by: str
    expires_ms: int | None
    revoked_ms: int | None
    last_used_ms: int | None


def check_tenant(name: str) -> None:
    """Raise InvalidInputError unless `name` can name a tenant."""
    if not is_tenant_name(name):
        raise InvalidInputError(TENANT_RULE, field="tenant")


def check_new(new: NewCredential, now_ms: int) -> NewCredential:
    """The same with roles and scope completed; raises InvalidInputError, naming the field at fault."""
    check_tenant(new.tenant)
    if not 1 <= len(new.name) <= NAME_CHARACTERS_MAX:
        raise InvalidInputError(f"must have 1 to {NAME_CHARACTERS_MAX} characters", field="name")
    if new.expires_ms is not None and new.expires_ms <= now_ms:
        raise InvalidInputError("must lie in the future", field="expires_ms")
    _check_scope(new)
    if new.kind is CredentialKind.API_KEY:
        return _checked_api_key(new)
    return _checked_token(new)


def _checked_api_key(new: NewCredential) -> NewCredential:
    if not new.roles or Role.DEVICE in new.roles:
        raise InvalidInputError(
            "an API key has one or more of admin, operator, technician, viewer", field="roles"
        )
    if new.devices or new.patterns:
        raise InvalidInputError("an API key speaks for all devices of its tenant", field="devices")
    return msgspec.structs.replace(new, roles=tuple(sorted(set(new.roles))), all_devices=True)


def _checked_token(new: NewCredential) -> NewCredential:
    if new.roles not in {(), (Role.DEVICE,)}:
        raise InvalidInputError("only an API key has roles", field="roles")
    one = len(new.devices) == 1 and not new.patterns and not new.all_devices
    if new.kind is CredentialKind.DEVICE and not one:
        raise InvalidInputError("a device token names exactly one device", field="devices")
    if not (new.devices or new.patterns or new.all_devices):
        raise InvalidInputError("a gateway token names devices or patterns, or all devices", field="devices")
    return msgspec.structs.replace(new, roles=(Role.DEVICE,))


def _check_scope(new: NewCredential) -> None:
    if len(new.devices) > DEVICES_MAX:
        raise InvalidInputError(f"at most {DEVICES_MAX} devices; use a pattern", field="devices")
    if len(new.patterns) > PATTERNS_MAX:
        raise InvalidInputError(f"at most {PATTERNS_MAX} patterns", field="patterns")
    for field, names in (("devices", new.devices), ("patterns", new.patterns)):
        if not all(1 <= len(name) <= NAME_CHARACTERS_MAX for name in names):
            raise InvalidInputError(f"each must have 1 to {NAME_CHARACTERS_MAX} characters", field=field)
