"""`tocsin anomalies`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from tocsin.cli.opened import ask
from tocsin.cli.options import CaFile, ServerUrl, Token
from tocsin.cli.output import Exit, JsonFlag, counted, fail, finish

if TYPE_CHECKING:
    from tocsin.client import Destination

_VIEWS = {
    "unresolved": {"unresolved": "true"},
    "unseen": {"unresolved": "true", "seen": "false"},
    "acknowledged": {"handling": "acknowledged"},
    "snoozed": {"handling": "snoozed"},
    "resolved": {"handling": "resolved"},
    "all": {},
}
_ACTIONS = ("seen", "acknowledge", "snooze", "resolve", "reopen", "assign", "comment", "merge", "split")
_NOT_UNDONE = ("seen", "comment", "undo")


def anomalies(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ANOMALY]...", help="Ids of anomalies; none lists them.")
    ] = None,
    show: Annotated[str, typer.Option(help=f"List only these: {', '.join(_VIEWS)}.")] = "unresolved",
    device: Annotated[str | None, typer.Option(help="List only those of this device.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="List at most so many.")] = 50,
    do: Annotated[str | None, typer.Option("--do", help=f"Act on them: {', '.join(_ACTIONS)}.")] = None,
    note: Annotated[str, typer.Option(help="What to say with the action.")] = "",
    until: Annotated[
        str | None, typer.Option(help="End of a snooze: RFC 3339, or milliseconds since 1970.")
    ] = None,
    to: Annotated[str | None, typer.Option("--to", help="Whom to assign it to; nobody without it.")] = None,
    episode: Annotated[list[str] | None, typer.Option(help="Episode to split off; may be repeated.")] = None,
    if_version: Annotated[
        int | None, typer.Option(min=0, help="Act only if this is still its version; for one anomaly.")
    ] = None,
    undo: Annotated[int | None, typer.Option(min=1, help="Undo the action with this number.")] = None,
    url: ServerUrl = "http://127.0.0.1:8765",
    token: Token = "",
    ca_file: CaFile = None,
    json: JsonFlag = False,
) -> None:
    """List anomalies, show one with its history, or act on some.

    A merge puts all into the first one. Exit code 1 if the action could not be done to each of them; the
    others have it. The answer to an action has its number, for --undo.
    """
    from tocsin.client import Destination

    server = Destination(url=url, token=token, ca_file=ca_file)
    names = ids or []
    said: dict[str, str | None] = {"note": note, "until": until, "assignee": to}
    mistake = _mistake(names, show, do, if_version) or _unheard(names, do, undo, said, episode or [])
    if mistake:
        fail("usage", mistake, json, Exit.USAGE)
    if undo is not None:
        result = ask(server, "POST", f"/v1/actions/{undo}/undo", json={"note": note})
        _finish_action(result, json)
    elif do in {"merge", "split"}:
        _finish_action(_grouped(server, do, names, episode or [], said, if_version), json)
    elif do is not None:
        targets = [{"id": name, "version": if_version} for name in names]
        body = said | {"action": do, "anomalies": targets}
        _finish_action(ask(server, "POST", "/v1/anomalies/actions", json=body), json)
    elif names:
        _show(server, names, json)
    else:
        _list(server, _VIEWS[show] | ({} if device is None else {"device": device}), limit, json)


def _mistake(names: list[str], show: str, do: str | None, if_version: int | None) -> str:
    if show not in _VIEWS:
        return f"--show is one of {', '.join(_VIEWS)}"
    if do is not None and (do not in _ACTIONS or not names):
        return f"--do is one of {', '.join(_ACTIONS)}, and anomalies are named"
    if if_version is not None and (do is None or len(names) != 1):
        return "--if-version is for an action on one anomaly"
    return ""


def _unheard(
    names: list[str], do: str | None, undo: int | None, said: dict[str, str | None], episodes: list[str]
) -> str:
    """What would be passed over in silence, as if it had been done; "" if nothing would."""
    if undo is not None and (names or do is not None):
        return "--undo is for a whole action: leave out anomalies and --do"
    if do is None and undo is None and (episodes or any(said.values())):
        return "--note, --until, --to and --episode go with an action: name it with --do"
    if episodes and do != "split":
        return "--episode is for --do split"
    return ""


def _grouped(
    server: Destination,
    do: str,
    names: list[str],
    episodes: list[str],
    said: dict[str, str | None],
    version: int | None,
) -> dict[str, Any]:
    first, *others = names
    body = said | {"anomalies": [{"id": other} for other in others], "episodes": episodes}
    path = f"/v1/anomalies/{quote(first, safe='')}/{do}"
    etag = "*" if version is None else f'"{version}"'
    return ask(server, "POST", path, if_match=etag, json=body)


def _finish_action(result: dict[str, Any], json: bool) -> None:
    lines = [f"{each['id']} {result['kind']}: version {each['version']}" for each in result["done"]]
    lines += [f"{each['id']} left as it is: {each['detail']}" for each in result["left"]]
    if result["action"] is not None and result["kind"] not in _NOT_UNDONE:
        lines.append(f"action {result['action']}: undo it with --undo {result['action']}")
    finish(result, lines, json, Exit.PROBLEM if result["left"] else Exit.OK)


def _show(server: Destination, names: list[str], json: bool) -> None:
    shown, lines = [], []
    for name in names:
        path = f"/v1/anomalies/{quote(name, safe='')}"
        found = ask(server, "GET", path)
        history = ask(server, "GET", f"{path}/history")["changes"]
        shown.append(found | {"history": history})
        lines += [_line(found), *(_entry(change) for change in history)]
    finish({"anomalies": shown}, lines, json)


def _list(server: Destination, filters: dict[str, str], limit: int, json: bool) -> None:
    found: list[dict[str, Any]] = []
    parameters = {**filters, "limit": str(min(limit, 200))}
    while True:
        page = ask(server, "GET", "/v1/anomalies", params=parameters)
        found += page["anomalies"]
        if page["next"] is None or len(found) >= limit:
            break
        parameters["cursor"] = page["next"]
    more = len(found) > limit or page["next"] is not None
    found = found[:limit]
    count = counted(len(found), "anomaly", "anomalies")
    end = f"{count}, and there are more: --limit shows them" if more else count
    finish({"anomalies": found, "more": more}, [*map(_line, found), end], json)


def _line(found: dict[str, Any]) -> str:
    unseen = ", unseen" if found["seen_at"] is None else ""
    who = f", assigned to {found['assignee']}" if found["assignee"] else ""
    until = f" until {found['snoozed_until']}" if found["snoozed_until"] else ""
    handling = f"{found['handling']}{until}{unseen}{who}"
    if found["merged_into"]:
        handling = f"merged into {found['merged_into']}"
    state = f"{found['severity']}, {found['condition']}, {handling}"
    began = f"{found['started_at'][:16]}Z"
    what = f"{found['device']}: {found['explanation']}"
    return f"{found['id']} {began} {what} ({state}; version {found['version']})"


def _entry(change: dict[str, Any]) -> str:
    kind = change["kind"].replace("_", " ")
    what = f"{kind}: {change['detail']}" if change["detail"] else kind
    number = "" if change["action"] is None else f" (action {change['action']})"
    return f"  {change['at']} {change['actor_name']} {what}{number}"
