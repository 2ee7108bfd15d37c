"""`tocsin explain`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tocsin.cli.opened import TENANT, config_of, opened
from tocsin.cli.options import ConfigFile, DataFolder
from tocsin.cli.output import Exit, JsonFlag, finish

if TYPE_CHECKING:
    from tocsin.model import Episode
    from tocsin.processing.proof import Proof


def explain(
    episode: Annotated[str, typer.Argument(help="Id of an episode, or `all`.")],
    data: DataFolder = None,
    config: ConfigFile = None,
    json: JsonFlag = False,
) -> None:
    """Derive an episode again from its raw records and say whether it matches; 1 if it does not.

    Opens the data folder, so stop the server first.
    """
    with opened(config_of(config, data)) as application:
        views, commits = application.runtime.views, application.stores.commits
        ids = [episode] if episode != "all" else _all_ids(commits)
        proofs = [views.explain(TENANT, each) for each in ids]
    results = [_result(found, proof) for found, proof in proofs]
    bad = [result for result in results if not result["matches"]]
    lines = [line for (found, proof) in proofs for line in _lines(found, proof)]
    result = results[0] if episode != "all" else {"episodes": len(results), "mismatches": bad}
    finish(result, [*lines, f"{len(results)} derived again, {len(bad)} differ"], json, _code(bad))


def _all_ids(commits: Any) -> list[str]:
    ids: list[str] = []
    while page := commits.episodes(TENANT, after_id=ids[-1] if ids else "", limit=500):
        ids += [episode.id for episode in page if not episode.retracted]
        if len(page) < 500:
            break
    return ids


def _code(bad: list[dict[str, Any]]) -> Exit:
    return Exit.PROBLEM if bad else Exit.OK


def _result(episode: Episode, proof: Proof) -> dict[str, Any]:
    return {
        "id": episode.id,
        "device": episode.device,
        "parameter": episode.parameter,
        "explanation": episode.explanation,
        "revision": episode.revision,
        "matches": proof.matches,
        "readings": proof.readings,
        "differences": list(proof.differences),
    }


def _lines(episode: Episode, proof: Proof) -> list[str]:
    verdict = "matches" if proof.matches else "DIFFERS"
    where = f"{episode.device} {episode.parameter}".strip()
    head = f"{episode.id} {verdict}: {where}, {proof.readings} readings derived again"
    return [head, f"  {episode.explanation}", *(f"  {difference}" for difference in proof.differences)]
