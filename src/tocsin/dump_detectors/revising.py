"""What becomes of published episodes when a device's dumps are judged again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from tocsin.dump_detectors.episodes import OpenEpisodes
from tocsin.model import Episode


@dataclass(frozen=True, slots=True)
class Revised:
    """What goes on, under the ids that people know, and the revisions to be published.

    `ids` are these ids by those that were derived.
    """

    open: OpenEpisodes
    changed: tuple[Episode, ...]
    ids: Mapping[str, str]

    def known(self, going_on: OpenEpisodes) -> OpenEpisodes:
        """Episodes on the way, which are among those derived, under the ids that people know."""
        lasting = (
            (cause, msgspec.structs.replace(episode, id=self.ids[episode.id]))
            for cause, episode in going_on.episodes
        )
        return OpenEpisodes(episodes=tuple(lasting))


def revise(published: Sequence[Episode], derived: Sequence[Episode], going_on: OpenEpisodes) -> Revised:
    """Hold what was derived again against what was published, both of one device and detector.

    An episode keeps the id of the one it was derived as before: the same id, also one retracted since, else
    one of the same component and code that overlaps it. What is derived no more is retracted. `going_on` are
    those of `derived` that have not ended; `published` come with their evidence.
    """
    before = {episode.id: episode for episode in published}
    free = {episode.id: episode for episode in published if not episode.retracted}
    for episode in derived:
        free.pop(episode.id, None)
    pairs = [(episode, before.get(episode.id)) for episode in derived]
    changed: list[Episode] = []
    named: dict[str, Episode] = {}
    for episode, same in pairs:
        known = same or _overlapping(episode, free)
        if known is not None:
            free.pop(known.id, None)
        told = _told(episode, known)
        named[episode.id] = told if told is not None else _as_known(episode, known)
        if told is not None:
            changed.append(told)
    changed += [_retracted(episode) for episode in free.values()]
    lasting = tuple((cause, named[episode.id]) for cause, episode in going_on.episodes)
    ids = {derived_id: episode.id for derived_id, episode in named.items()}
    in_order = tuple(sorted(changed, key=lambda episode: episode.id))
    return Revised(OpenEpisodes(episodes=lasting), in_order, ids)


def _overlapping(episode: Episode, free: dict[str, Episode]) -> Episode | None:
    """The earliest published one that may be the same."""
    found = [
        other
        for other in free.values()
        if (other.parameter, other.reason) == (episode.parameter, episode.reason)
        and other.started_ms <= _end_ms(episode)
        and episode.started_ms <= _end_ms(other)
    ]
    return min(found, key=lambda other: (other.started_ms, other.id), default=None)


def _end_ms(episode: Episode) -> int:
    return episode.last_abnormal_ms if episode.end_ms is None else episode.end_ms


def _told(episode: Episode, known: Episode | None) -> Episode | None:
    """The revision to publish; None if it says what is known."""
    if known is None:
        return episode
    as_known = _as_known(episode, known)
    if _plain(as_known) == _plain(known):
        return None
    return msgspec.structs.replace(as_known, revision=known.revision + 1)


def _plain(episode: Episode) -> tuple[bytes, str]:
    """What people see of it, as bytes (a limit that there is not, NaN, equals another), and its findings.

    Where only the findings are others, a proof would miss those that were published.
    """
    dumps = episode.evidence.dumps if episode.evidence else None
    seen = msgspec.msgpack.encode(msgspec.structs.replace(episode, evidence=None))
    return seen, dumps.findings_sha256 if dumps else ""


def _as_known(episode: Episode, known: Episode | None) -> Episode:
    if known is None:
        return episode
    return msgspec.structs.replace(episode, id=known.id, revision=known.revision)


def _retracted(episode: Episode) -> Episode:
    return msgspec.structs.replace(
        episode,
        end_ms=_end_ms(episode),
        retracted=True,
        revision=episode.revision + 1,
        evidence=None,
        explanation=f"its dumps were shown again and do not have it; it said: {episode.explanation}",
    )
