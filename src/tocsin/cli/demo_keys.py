"""The credentials of the demo: valid for a week, and revoked when it ends."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tocsin.access.credential import CredentialKind, NewCredential
from tocsin.access.principal import Role
from tocsin.cli.opened import TENANT

if TYPE_CHECKING:
    from tocsin.bootstrap import Application

_WEEK_MS: Final = 7 * 86_400_000


class DemoKeys:
    """Makes tokens for senders and keys for visitors."""

    def __init__(self, application: Application) -> None:
        self._application: Final = application
        self._ids: list[str] = []

    def sender(self, name: str) -> str:
        """A gateway's token, which may speak for every device."""
        return self._made(CredentialKind.GATEWAY, name)

    def visitor(self, name: str) -> str:
        """A key to sign in with."""
        return self._made(CredentialKind.API_KEY, name)

    def revoke(self) -> None:
        """Let none of them be good for anything any more."""
        for key_id in self._ids:
            self._application.access.revoke(TENANT, key_id)
        self._ids.clear()

    def _made(self, kind: CredentialKind, name: str) -> str:
        gateway = kind is CredentialKind.GATEWAY
        new = NewCredential(
            tenant=TENANT,
            kind=kind,
            name=name,
            roles=() if gateway else (Role.OPERATOR,),
            all_devices=gateway,
            expires_ms=self._application.clock.now_ms() + _WEEK_MS,
        )
        credential, token = self._application.access.create(new, created_by="demo")
        self._ids.append(credential.key_id)
        return token
