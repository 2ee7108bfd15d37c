"""Findings about the data, not the machine: what is no log, lines that were cut, and tables that are full.

They are told from the first dump on, and of the device that sends such data alone: what is judged of it is
worth less from then on.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from tocsin.dump_detectors.abstract import Finding
from tocsin.log_detector.component_tally import ComponentTally
from tocsin.log_detector.counting import Counted
from tocsin.log_detector.knowledge import RECENT_H, Knowledge
from tocsin.log_detector.tally import DumpTally
from tocsin.log_detector.wording import Facts, finding
from tocsin.templates._mine_kernel import LINE_BYTES_MAX

SCORE: Final = 2.0


def unlike_a_log(found: DumpTally, table: Counted) -> Iterator[Finding]:
    """Components that write no text or more forms of lines than a log has, or with a line that was cut."""
    for name, beyond in table.beyond.items():
        component = found.components[name]
        lines = [] if component.example is None else [component.example]
        reason, facts = _no_log(component, beyond) if component.is_text else _no_text(component)
        yield finding(table, name, "no_log", SCORE, reason, facts=facts, lines=lines)
    for name, component in found.components.items():
        if component.is_text and component.longest_bytes >= LINE_BYTES_MAX:
            reason = f"a line has {component.longest_bytes} bytes or more; the rest of it was not looked at"
            facts = {"bytes": component.longest_bytes}
            yield finding(table, name, "long_line", SCORE, reason, facts=facts)


def table_full(known: Knowledge, table: Counted, shapes: int) -> Iterator[Finding]:
    """A device whose templates find no room in its table, though they are in use.

    `shapes` were forgotten besides. What made room but came no more for long is forgotten without a word.
    """
    if not table.forgotten and not table.unborn and not shapes:
        return
    reason = (
        f"the table of templates is full: {table.forgotten} templates and {shapes} forms of lines that came "
        f"in the last {RECENT_H:.0f} h of logs were forgotten, {table.unborn} new templates found no room"
    )
    facts: Facts = {"templates": len(known.rows), "forgotten": table.forgotten, "unborn": table.unborn}
    yield finding(table, "", "table_full", SCORE, reason, facts=dict(facts) | {"shapes": shapes})


def _no_log(component: ComponentTally, beyond: int) -> tuple[str, Facts]:
    forms = len(component.shapes) + component.dropped
    reason = (
        f"{beyond} of {forms} forms of lines are new and find no room: "
        "this is no log, or one whose lines are all different"
    )
    return reason, {"lines": component.lines, "forms": forms}


def _no_text(component: ComponentTally) -> tuple[str, Facts]:
    share = component.control_bytes / component.judged_bytes
    reason = f"{100 * share:.0f} of 100 bytes looked at are control bytes: this is no text, or none in UTF-8"
    return reason, {"lines": component.lines, "control_bytes": component.control_bytes}
