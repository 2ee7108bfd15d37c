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
LOOKED_AT_MAX: Final = 5_000
"""Episodes of which a page chooses; it is short where few of them are wanted, and says where to go on."""

NO_EPISODE: Final = "There is no such episode."


@dataclass(frozen=True, slots=True)
class EpisodeQuery:
    """Filters of a list; None = any. Ordered by id; `after_id` is the cursor.

    `suppressed`: whether maintenance keeps it back; `window`: which maintenance window does.
    """

    device: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    after_id: str = ""
    limit: int = 50
    suppressed: bool | None = None
    window: str | None = None

    def wants(self, episode: Episode) -> bool:
        """Whether it is one of those that maintenance keeps back, or not, as wanted."""
        by_window = self.window is None or episode.suppressed == self.window
        return by_window and (self.suppressed is None or bool(episode.suppressed) == self.suppressed)


class Episodes:
    """Reads what the processor committed for one tenant at a time."""

    def __init__(self, commits: CommitStore, sight: Sight) -> None:
        self._commits = commits
        self._sight = sight

    def page(self, principal: Principal, query: EpisodeQuery) -> tuple[Sequence[Episode], str | None]:
        """Newest revisions by id, without evidence, and the id to go on after, None at the end.

        Of LOOKED_AT_MAX at most, so a page with filters by maintenance may be short and not the last.
        """
        require(principal, Permission.READ)
        limit = min(query.limit, PAGE_MAX)
        devices = self._sight.devices(principal)
        if devices is not None and query.device is not None and query.device not in devices:
            return [], None
        chooses = query.window is not None or query.suppressed is not None
        looked_at = LOOKED_AT_MAX if chooses else limit
        some = self._commits.episodes(
            principal.tenant,
            device=query.device,
            devices=devices,
            from_ms=query.from_ms,
            to_ms=query.to_ms,
            after_id=query.after_id,
            limit=looked_at + 1,
        )
        found = [episode for episode in some[:looked_at] if query.wants(episode)]
        if len(found) > limit:
            return found[:limit], found[limit - 1].id
        return found, some[looked_at - 1].id if len(some) > looked_at else None

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
