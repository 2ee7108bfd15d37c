"""Who may do what: one table. docs/reference/roles.md is generated from it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from tocsin.access.principal import Principal, Role, Scope
from tocsin.errors import ForbiddenError


class Permission(StrEnum):
    """What can be done, in groups that are given together; `meaning` is shown to people."""

    meaning: str

    def __new__(cls, value: str, meaning: str) -> Permission:
        member = str.__new__(cls, value)
        member._value_ = value
        member.meaning = meaning
        return member

    INGEST = "ingest", "send events for the devices that the credential speaks for"
    READ = "read", "see devices, series, anomalies and episodes of the tenant"
    HANDLE = (
        "handle",
        "act on anomalies, from acknowledge to feedback; have devices in maintenance",
    )
    OPERATE = (
        "operate",
        "see digests and dead letters, replay, correct, quarantine, query; maintain whole locations",
    )
    ADMINISTER = "administer", "make and revoke credentials, change settings, read the audit log"


TABLE: Final[Mapping[Role, frozenset[Permission]]] = {
    Role.ADMIN: frozenset(Permission),
    Role.OPERATOR: frozenset({Permission.INGEST, Permission.READ, Permission.HANDLE, Permission.OPERATE}),
    Role.TECHNICIAN: frozenset({Permission.READ, Permission.HANDLE}),
    Role.VIEWER: frozenset({Permission.READ}),
    Role.DEVICE: frozenset({Permission.INGEST}),
}


SCOPES: Final[Mapping[Scope, frozenset[Permission]]] = {
    Scope.READ: frozenset({Permission.READ}),
    Scope.ACT: frozenset({Permission.READ, Permission.HANDLE}),
    Scope.INGEST: frozenset({Permission.INGEST}),
}
"""What a person's own key is good for; never more than its person may do."""


def allows(principal: Principal, permission: Permission) -> bool:
    """Whether any of the principal's roles has the permission, and one of the scopes if there are any."""
    if principal.scopes is not None and not any(permission in SCOPES[each] for each in principal.scopes):
        return False
    return any(permission in TABLE[role] for role in principal.roles)


def require(principal: Principal, permission: Permission) -> None:
    """Raise ForbiddenError, naming the roles that would do, unless the principal has the permission."""
    if not allows(principal, permission):
        if principal.scopes is not None and any(permission in TABLE[role] for role in principal.roles):
            raise ForbiddenError(f"This key was made without a scope for this ({permission.value}).")
        enough = " or ".join(role.value for role in Role if permission in TABLE[role])
        raise ForbiddenError(
            f"This credential may not do this ({permission.value}): it needs the role {enough}."
        )


_HEAD: Final = """# Roles

A credential has one or more roles; it may do what any of them allows, in its own tenant and nowhere
else. Device and gateway tokens have the role `device` and speak only for the devices they name.

People whose one role is `technician` see, and act on, the devices that the directory says are theirs, where
the tenant has one; without a directory they see the tenant, as API keys with this role do.

A key that a person made has scopes: `read` allows read, `act` read and handle, `ingest` ingest, each only as
far as the person may at the time of asking.

This page is generated from the table in `src/tocsin/access/permissions.py`; a test proves it up to date.
"""


def render_reference() -> str:
    """The page docs/reference/roles.md."""
    heading = "| permission | " + " | ".join(role.value for role in Role) + " | meaning |"
    rows = [heading, "|---|" + ":-:|" * len(Role) + "---|"]
    for permission in Permission:
        marks = ("yes" if permission in TABLE[role] else "no" for role in Role)
        rows.append(f"| `{permission.value}` | {' | '.join(marks)} | {permission.meaning} |")
    return _HEAD + "\n" + "\n".join(rows) + "\n"
