"""People who sign in: what is kept of one, and what may be asked for."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any, Final

import msgspec

from tocsin.access.principal import Role
from tocsin.directory.answers import technician_of
from tocsin.errors import InvalidInputError
from tocsin.tenant_names import is_tenant_name

NAME_CHARACTERS_MAX: Final = 128
_IN_NAMES: Final = frozenset("._-@+")
_UNSEEN: Final = (
    ("\u034f", "\u034f"),
    ("\u115f", "\u1160"),
    ("\u17b4", "\u17b5"),
    ("\u180b", "\u180f"),
    ("\u3164", "\u3164"),
    ("\ufe00", "\ufe0f"),
    ("\uffa0", "\uffa0"),
    ("\U000e0100", "\U000e01ef"),
)
"""Letters and marks that nobody sees (Unicode's Default_Ignorable_Code_Point): with one of them, a name looks
like another person's.
"""


class NewPerson(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to let in: `name` is what is typed to sign in, `display_name` what others read."""

    tenant: str
    name: str
    display_name: str
    roles: tuple[Role, ...]
    technician: str | None = None


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """A person as kept, without the hash of the password.

    `technician` is the directory's GUID. `one_time_until_ms` is until when a password that somebody else has
    set can be used; None once there is one of the person's own. `revision` counts what was changed.
    """

    person_id: str
    tenant: str
    name: str
    display_name: str
    roles: tuple[Role, ...]
    technician: str | None
    disabled: bool
    one_time_until_ms: int | None
    revision: int
    created_ms: int
    created_by: str
    signed_in_ms: int | None


class PersonChange(msgspec.Struct, frozen=True, kw_only=True):
    """What becomes another; UNSET stays as it is."""

    display_name: str | msgspec.UnsetType = msgspec.UNSET
    roles: tuple[Role, ...] | msgspec.UnsetType = msgspec.UNSET
    technician: str | msgspec.UnsetType | None = msgspec.UNSET
    disabled: bool | msgspec.UnsetType = msgspec.UNSET


def normalised_name(text: str) -> str:
    """The one form of a name: how somebody holds the shift key makes no other person.

    >>> normalised_name(" Maria.R@Example.ORG "), normalised_name("ＡＮＮ")
    ('maria.r@example.org', 'ann')
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded).strip()


def tenant_and_name(text: str, default_tenant: str) -> tuple[str, str]:
    """Whom somebody means who signs in: `tenant/name`, or a name alone in the first tenant.

    >>> tenant_and_name("North/Maria", "default"), tenant_and_name("maria", "default")
    (('north', 'maria'), ('default', 'maria'))
    """
    tenant, slash, name = text.strip().partition("/")
    if not slash:
        return default_tenant, normalised_name(text)
    return normalised_name(tenant), normalised_name(name)


def check_person(new: NewPerson) -> NewPerson:
    """The same in its one form; raises InvalidInputError, naming the field at fault."""
    if not is_tenant_name(new.tenant):
        raise InvalidInputError("This can't be the name of a tenant.", field="tenant")
    name = normalised_name(new.name)
    if not 1 <= len(name) <= NAME_CHARACTERS_MAX or not all(map(_fits_name, name)):
        raise InvalidInputError(
            f"A name has 1 to {NAME_CHARACTERS_MAX} letters, digits or characters of . _ - @ +", field="name"
        )
    return msgspec.structs.replace(
        new,
        name=name,
        display_name=_display_name(new.display_name),
        roles=_roles(new.roles),
        technician=_technician(new.technician),
    )


def check_change(change: PersonChange) -> PersonChange:
    """The same in its one form; raises InvalidInputError as `check_person`."""
    asked = {name: check(getattr(change, name)) for name, check in _CHECKS.items() if is_set(change, name)}
    return msgspec.structs.replace(change, **asked)


def is_set(change: PersonChange, name: str) -> bool:
    """Whether the change says anything of this field."""
    return getattr(change, name) is not msgspec.UNSET


def _is_unseen(character: str) -> bool:
    return any(first <= character <= last for first, last in _UNSEEN)


def _fits_name(character: str) -> bool:
    if _is_unseen(character):
        return False
    return character.isalnum() or character in _IN_NAMES or unicodedata.category(character).startswith("M")


def _display_name(text: str) -> str:
    shown = unicodedata.normalize("NFC", text).strip()
    blank = all(_is_unseen(character) or character.isspace() for character in shown)
    if blank or len(shown) > NAME_CHARACTERS_MAX or not shown.isprintable():
        raise InvalidInputError(
            f"This name has 1 to {NAME_CHARACTERS_MAX} characters that can be seen.", field="display_name"
        )
    return shown


def _roles(roles: tuple[Role, ...]) -> tuple[Role, ...]:
    if not roles or Role.DEVICE in roles:
        raise InvalidInputError(
            "A person has one or more of admin, operator, technician, viewer.", field="roles"
        )
    return tuple(sorted(set(roles)))


def _technician(guid: str | None) -> str | None:
    if guid is None:
        return None
    small = technician_of(guid)
    if small is None:
        raise InvalidInputError(
            "A technician is the directory's GUID, such as 6f9619ff-8b86-d011-b42d-00c04fc964ff.",
            field="technician",
        )
    return small


_CHECKS: Final[dict[str, Callable[[Any], Any]]] = {
    "display_name": _display_name,
    "roles": _roles,
    "technician": _technician,
}
