"""Episodes derived again from the raw records, on request."""

from __future__ import annotations

from typing import Protocol

from tocsin.access.principal import Principal
from tocsin.model import Episode
from tocsin.processing.proof import Proof
from tocsin.services.episodes import Episodes


class Prover(Protocol):
    """Reads the records that an episode's evidence names and judges them again; the runtime offers it."""

    def explain(self, tenant: str, episode_id: str) -> tuple[Episode, Proof]:
        """The newest revision and whether it was derived again; NotFoundError if there is none."""
        ...


class Proofs:
    """What `tocsin explain` does, for the principal's tenant."""

    def __init__(self, prover: Prover, episodes: Episodes) -> None:
        self._prover = prover
        self._episodes = episodes

    def of(self, principal: Principal, episode_id: str) -> Proof:
        """Whether the episode matches what its records say; reads the lake, so it takes a moment."""
        self._episodes.one(principal, episode_id)  # refused before anything is derived
        return self._prover.explain(principal.tenant, episode_id)[1]
