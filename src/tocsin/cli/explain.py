"""`tocsin explain`"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Final
from urllib.parse import quote

import typer

from tocsin.cli.opened import TENANT, ask, config_of, opened
from tocsin.cli.options import CaFile, ConfigFile, DataFolder, Token
from tocsin.cli.output import Exit, JsonFlag, finish

if TYPE_CHECKING:
    from tocsin.bootstrap import Application
    from tocsin.client import Destination
    from tocsin.commit.abstract import CommitStore
    from tocsin.config import Config
    from tocsin.model import Episode, FeedbackActed
    from tocsin.processing.proof import Proof

_ANOMALY: Final = "an_"
_PAGE: Final = 500
_SHOWN = ("id", "device", "parameter", "explanation", "revision")
_TIMES = ("from_ms", "at_ms")
_DONE: Final = {
    "confirmed": "abnormal readings kept out of learning for up to 30 days",
    "expected": "abnormal readings at the same hours of the week learnt",
    "new_normal": "learnt anew",
}
_PROVED = ("matches", "readings", "differences")


def explain(
    episode: Annotated[str, typer.Argument(help="Id of an episode or an anomaly, or `all`.")],
    data: DataFolder = None,
    config: ConfigFile = None,
    url: Annotated[
        str | None,
        typer.Option(envvar="TOCSIN_URL", help="Ask this running server instead of opening the folder."),
    ] = None,
    token: Token = "",
    ca_file: CaFile = None,
    json: JsonFlag = False,
) -> None:
    """Derive an episode again from its raw records and compare.

    Exit code 1 if it does not match. An anomaly's id stands for its newest episodes. Opens the data
    folder, so stop the server first, or ask it with --url; with --data the folder is opened in any case.
    """
    from tocsin.client import Destination

    results = (
        _opened(config_of(config, data), episode)
        if url is None or data is not None
        else _asked(Destination(url=url, token=token, ca_file=ca_file), episode)
    )
    bad = [result for result in results if not result["matches"]]
    lines = [line for result in results for line in _lines(result)]
    one = len(results) == 1 and episode == results[0]["id"]
    result = results[0] if one else {"episodes": len(results), "mismatches": bad}
    code = Exit.PROBLEM if bad else Exit.OK
    finish(result, [*lines, f"{len(results)} derived again, {len(bad)} differ"], json, code)


def _opened(config: Config, episode: str) -> list[dict[str, Any]]:
    with opened(config, f"tocsin explain {episode}") as application:
        views = application.runtime.views
        return [_result(*each) for each in views.explain_all(TENANT, _ids_stored(application, episode))]


def _asked(server: Destination, episode: str) -> list[dict[str, Any]]:
    results = []
    for each in _ids_asked(server, episode):
        path = f"/v1/episodes/{quote(each, safe='')}"
        found = ask(server, "GET", path)
        proof = ask(server, "GET", f"{path}/proof")
        from_dumps = bool((found["evidence"] or {}).get("dumps"))
        shown = {name: found[name] for name in _SHOWN} | {name: proof[name] for name in _PROVED}
        feedback = (found["evidence"] or {}).get("feedback", [])
        results.append(shown | {"of": _of(from_dumps), "feedback": feedback})
    return results


def _ids_stored(application: Application, named: str) -> list[str]:
    if named == "all":
        return _all_ids(application.stores.commits)
    anomaly = application.stores.inbox.anomaly(TENANT, named)
    if anomaly is None:
        return [named]
    _must_have_episodes(named, anomaly.merged_into)
    return list(anomaly.episodes)


def _ids_asked(server: Destination, named: str) -> list[str]:
    if named.startswith(_ANOMALY):
        anomaly = ask(server, "GET", f"/v1/anomalies/{quote(named, safe='')}")
        _must_have_episodes(named, anomaly["merged_into"])
        return list(anomaly["episodes"])
    return _all_ids_asked(server) if named == "all" else [named]


def _must_have_episodes(named: str, merged_into: str | None) -> None:
    """ConflictError for an anomaly that was merged: that none of its episodes differs would say nothing."""
    from tocsin.errors import ConflictError

    if merged_into is not None:
        raise ConflictError(f"{named} was merged into {merged_into}: name that one")


def _all_ids_asked(server: Destination) -> list[str]:
    ids: list[str] = []
    cursor: dict[str, str] = {}
    while True:
        page = ask(server, "GET", "/v1/episodes", params={"limit": "200", **cursor})
        ids += [episode["id"] for episode in page["episodes"] if not episode["retracted"]]
        if page["next"] is None:
            return ids
        cursor = {"cursor": page["next"]}


def _all_ids(commits: CommitStore) -> list[str]:
    ids: list[str] = []
    after_id = ""
    while page := commits.episodes(TENANT, after_id=after_id, limit=_PAGE):
        ids += [episode.id for episode in page if not episode.retracted]
        after_id = page[-1].id
    return ids


def _result(episode: Episode, proof: Proof) -> dict[str, Any]:
    shown = {name: getattr(episode, name) for name in _SHOWN}
    return shown | {
        "matches": proof.matches,
        "readings": proof.readings,
        "differences": list(proof.differences),
        "of": _of(episode.evidence is not None and episode.evidence.dumps is not None),
        "feedback": [] if episode.evidence is None else _plain(episode.evidence.feedback),
    }


def _plain(feedback: tuple[FeedbackActed, ...]) -> list[dict[str, Any]]:
    import msgspec

    return [msgspec.structs.asdict(each) for each in feedback]


def _of(from_dumps: bool) -> str:
    """What `readings` counts."""
    return "dumps" if from_dumps else "readings"


def _lines(result: dict[str, Any]) -> list[str]:
    verdict = "matches" if result["matches"] else "DIFFERS"
    where = f"{result['device']} {result['parameter']}".strip()
    head = f"{result['id']} {verdict}: {where}, {result['readings']} {result['of']} derived again"
    told = [f"  {result['explanation']}", *map(_raised, result["feedback"])]
    return [head, *told, *(f"  {difference}" for difference in result["differences"])]


def _raised(feedback: dict[str, Any]) -> str:
    """Whose feedback acts on it, how, and from when on."""
    from tocsin.control import LIMIT_FACTORS

    kind = feedback.get("kind", "")
    factor = LIMIT_FACTORS[feedback["steps"]]
    since, at = (
        f"{datetime.fromtimestamp(feedback[name] // 1000, UTC):%-d %b %Y, %H:%M} UTC" for name in _TIMES
    )
    moved = "lowered" if feedback["steps"] < feedback["steps_before"] else "raised"
    what = _DONE.get(kind, f"limit {moved} to {factor:g} times" if factor > 1 else "limit as it was at first")
    return f"  {what} since {since}, by feedback of {at} on {feedback['anomaly']}"
