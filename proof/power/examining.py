"""Examines states of the disk: opens every store on them, as a restart would, and judges what they say.

A store whose files are as in a state before says the same again, so it is opened once; what the stores say
together is judged for every state.
"""

from __future__ import annotations

import shutil
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from proof.power import views
from proof.power.disk import State
from proof.power.history import History
from proof.power.judging import Finding, Harm, Views, judge
from proof.power.recording import DATA
from proof.subject.promise import Promise

_KEPT: Final = 20_000
_PREFIXES: Final = {
    "log": f"{DATA}/log/",
    "commit": f"{DATA}/commit.db",
    "checkpoints": f"{DATA}/checkpoints.db",
    "inbox": f"{DATA}/inbox.db",
    "findings": f"{DATA}/abnormal.db",
    "windows": f"{DATA}/maintenance.db",
    "access": f"{DATA}/access.db",
    "audit": f"{DATA}/audit.db",
    "catalogue": f"{DATA}/catalogue.db",
    "replays": f"{DATA}/replays.db",
    "lake": f"{DATA}/lake/",
    "blobs": f"{DATA}/blobs/",
}

Outcome = views.View | list[Finding]


class Examiner:
    """For the states of one recorded run. `opened` counts stores that were really opened."""

    def __init__(self, history: History, key: str, scratch: Path) -> None:
        self._history = history
        self._scratch = scratch
        self._known: OrderedDict[tuple[str, bytes], Outcome] = OrderedDict()
        self.opened = 0
        self._viewers: dict[str, Callable[[Path], views.View]] = {
            "log": lambda data: views.log_view(data, history.answers),
            "commit": views.commit_view,
            "checkpoints": views.checkpoint_view,
            "inbox": views.inbox_view,
            "findings": views.findings_view,
            "windows": views.windows_view,
            "access": lambda data: views.access_view(data, key),
            "audit": views.audit_view,
            "catalogue": views.catalogue_view,
            "replays": views.replays_view,
            "lake": views.lake_view,
            "blobs": lambda data: views.blob_view(data, history.dumps),
        }

    def examine(self, state: State, promises: Sequence[Promise]) -> list[Finding]:
        """Every harm found; empty is what is hoped for."""
        said: dict[str, Any] = {}
        found: list[Finding] = []
        for name in _PREFIXES:
            outcome = self._look(name, state)
            if isinstance(outcome, list):
                found += outcome
            else:
                said[name] = outcome
        return found or judge(Views(**said), promises, self._history)

    def _look(self, name: str, state: State) -> Outcome:
        key = (name, state.hash(_PREFIXES[name]))
        outcome = self._known.get(key)
        if outcome is None:
            outcome = self._known[key] = self._open(name, state)
            if len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return outcome

    def _open(self, name: str, state: State) -> Outcome:
        self.opened += 1
        folder = self._scratch / name
        (folder / DATA).mkdir(parents=True)
        try:
            state.write(folder, [_PREFIXES[name]])
            return self._viewers[name](folder / DATA)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a restart dies of, Rust's panics too
            return [Finding(Harm.CORRUPT, f"{name} can't be opened: {error!r}")]
        finally:
            shutil.rmtree(folder)
