"""Makes everything that Tocsin does now and then happen within seconds: rolls, merges, sums of table logs.

Only sizes and intervals that no setting reaches are changed here, nothing of what is done.
"""

from __future__ import annotations

from functools import partial
from typing import Final

import apsw

SETTINGS: Final = {
    "TOCSIN_LOG__PARTITIONS": "2",
    "TOCSIN_LOG__SEGMENT_BYTES": "9000",
    "TOCSIN_LOG__DEAD_LETTERS_MAX": "1000",
    "TOCSIN_LAKE__FLUSH_S": "0.2",
    "TOCSIN_LAKE__FLUSH_ROWS": "100",
    "TOCSIN_PROCESSING__CHECKPOINT_INTERVAL_S": "0.3",
    "TOCSIN_PROCESSING__CORRECTION_INTERVAL_S": "0.3",
    "TOCSIN_OBSERVABILITY__LOG_LEVEL": "warning",
    "TOCSIN_WATCH__DUMP_DETECTORS": '{"tally": {}}',
}


PACES: Final[tuple[dict[str, str], ...]] = (
    {},
    {"TOCSIN_LAKE__FLUSH_S": "1.5", "TOCSIN_LAKE__FLUSH_ROWS": "100000"},
    {"TOCSIN_PROCESSING__CHECKPOINT_INTERVAL_S": "1.5"},
)
"""Runs in which nobody, the lake, or the checkpoints lag behind."""


def hurry() -> None:
    """Shorten intervals and limits in this process, before anything is opened."""
    from proof.subject.local import LOCAL
    from tocsin.bootstrap import application
    from tocsin.lake import chores, table, upkeep
    from tocsin.log import segment
    from tocsin.storage import database

    vars(application)["PROCESSES"] = LOCAL
    application.MINUTE_S = 0.4  # type: ignore[misc]
    application.HOUR_S = 1.0  # type: ignore[misc]
    table.CHECKPOINT_EVERY = 6  # type: ignore[misc]
    vars(chores)["vacuum"] = partial(upkeep.vacuum, grace_s=1)
    segment._MERGE_BYTES_MIN = 400_000  # type: ignore[misc]
    merge = database._merge

    def merge_soon(
        connection: apsw.Connection, schema: str, pages: int, merge_when: database.MergeRule
    ) -> int:
        return merge(connection, schema, pages, lambda pages: pages >= 40 or merge_when(pages))

    database._merge = merge_soon
