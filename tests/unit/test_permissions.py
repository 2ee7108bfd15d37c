"""One table says which role may do what."""

from __future__ import annotations

from pathlib import Path

import pytest

from tocsin.access.device_scope import DeviceScope
from tocsin.access.permissions import TABLE, Permission, allows, render_reference, require
from tocsin.access.principal import Principal, Role
from tocsin.errors import ForbiddenError

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "roles.md"


def holder(*roles: Role) -> Principal:
    return Principal("a", frozenset(roles), "k", "someone", DeviceScope())


def test_every_role_has_a_row() -> None:
    """The table is complete, and every permission is somebody's."""
    assert set(TABLE) == set(Role)
    assert frozenset().union(*TABLE.values()) == frozenset(Permission)


@pytest.mark.parametrize("role", list(Role))
def test_require_follows_the_table(role: Role) -> None:
    """What the table gives passes; anything else is refused with the roles that would do."""
    for permission in Permission:
        if permission in TABLE[role]:
            require(holder(role), permission)
        else:
            with pytest.raises(ForbiddenError, match="admin"):
                require(holder(role), permission)


def test_devices_send_and_see_nothing() -> None:
    """A stolen device token shows nothing of the fleet."""
    assert TABLE[Role.DEVICE] == {Permission.INGEST}


def test_several_roles_add_up() -> None:
    """A credential may do what any of its roles allows; without roles, nothing."""
    assert allows(holder(Role.VIEWER, Role.DEVICE), Permission.INGEST)
    assert not any(allows(holder(), permission) for permission in Permission)


def test_roles_page_is_up_to_date() -> None:
    """The page equals the table; write it anew with `python -m tocsin.access`."""
    assert PAGE.read_text() == render_reference()
