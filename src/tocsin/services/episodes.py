"""Episodes with their evidence and revisions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tocsin.access.permissions import Permission, require
from tocsin.access.principal import Principal
from tocsin.commit.abstract import CommitStore
from tocsin.errors import NotFoundError
from tocsin.model import Episode
from tocsin.services.sight import Sight

PAGE_MAX: Final = 200
NO_EPISODE: Final = "There is no such episode."


@dataclass(frozen=True, slots=True)
class EpisodeQuery:
    """Filters of a list; None = any. Ordered by id; `after_id` is the cursor."""

    device: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    after_id: str = ""
    limit: int = 50


class Episodes:
    """Reads what the processor committed for one tenant at a time."""

    def __init__(self, commits: CommitStore, sight: Sight) -> None:
        self._commits = commits
        self._sight = sight

    def page(self, principal: Principal, query: EpisodeQuery) -> tuple[Sequence[Episode], str | None]:
        """Newest revisions by id, without evidence, and the id to go on after, None at the end."""
        require(principal, Permission.READ)
        limit = min(query.limit, PAGE_MAX)
        devices = self._sight.devices(principal)
        if devices is not None and query.device is not None and query.device not in devices:
            return [], None
        found = self._commits.episodes(
            principal.tenant,
            device=query.device,
            devices=devices,
            from_ms=query.from_ms,
            to_ms=query.to_ms,
            after_id=query.after_id,
            limit=limit + 1,
        )
        return (found, None) if len(found) <= limit else (found[:limit], found[limit - 1].id)

    def one(self, principal: Principal, episode_id: str) -> Episode:
        """The newest revision with its evidence; NotFoundError if there is none."""
        require(principal, Permission.READ)
        episode = self._commits.episode(principal.tenant, episode_id)
        if episode is None:
            raise NotFoundError(NO_EPISODE)
        self._sight.require(principal, episode.device, NO_EPISODE)
        return episode

    def revisions(self, principal: Principal, episode_id: str) -> Sequence[Episode]:
        """Every state and revision, oldest first."""
        self.one(principal, episode_id)
        return self._commits.revisions(principal.tenant, episode_id)
