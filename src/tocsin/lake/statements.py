"""Which SELECTs are answered: those about a tenant's rows, not those about the engine and its files.

The engine tells of itself by views of its catalog, table functions and a few functions: its settings and the
text of views name the files of the lake, and so where the server keeps them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import duckdb
import msgspec

from tocsin.errors import InvalidInputError

_TABLE_FUNCTIONS: Final = frozenset(
    {
        "duckdb_functions",
        "duckdb_keywords",
        "generate_series",
        "histogram",
        "histogram_values",
        "json_each",
        "json_tree",
        "pg_timezone_names",
        "range",
        "repeat",
        "repeat_row",
        "unnest",
    }
)
_TELLING_FUNCTIONS: Final = frozenset({"current_setting", "json_serialize_plan", "pg_get_viewdef"})
_SHOWN: Final = frozenset({'"tables"', "__show_tables_expanded"})
_OWN_SCHEMA: Final = frozenset({"main", "memory"})
_CATALOG: Final = (
    "SELECT view_name FROM duckdb_views() WHERE internal AND schema_name <> 'information_schema'"
)
_named: Final[set[str]] = set()
"""What the catalog names; filled by the first statement, for it is the same in every engine of a process."""
_PARSED: Final = "SELECT json_serialize_sql(?, skip_default := true, skip_null := true, skip_empty := true)"


def only_select(engine: duckdb.DuckDBPyConnection, sql: str, views: Sequence[str]) -> str:
    """The statement in `sql`; InvalidInputError unless it is one SELECT that asks about data alone.

    What the engine calls a SELECT includes DESCRIBE, SUMMARIZE and SHOW TABLES.
    """
    statements = engine.extract_statements(sql)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise InvalidInputError("only one SELECT statement is allowed", field="sql")
    statement: str = statements[0].query
    if not _named:  # filled in one piece: nobody sees half of it
        _named.update([name for (name,) in engine.execute(_CATALOG).fetchall()])
    for node in _nodes(_parsed(engine, statement)):
        if (name := _beyond(node, _named, views)) is not None:
            raise InvalidInputError(
                f"{name!r} tells of the engine or its files, not of your data; there are {', '.join(views)}",
                field="sql",
            )
    return statement


def _parsed(engine: duckdb.DuckDBPyConnection, statement: str) -> Any:
    ((parsed,),) = engine.execute(_PARSED, [statement]).fetchall()
    try:
        tree = msgspec.json.decode(parsed)
    except RecursionError as error:
        raise InvalidInputError("the statement is nested too deeply", field="sql") from error
    if tree["error"]:
        raise InvalidInputError(tree["error_message"], field="sql")
    return tree["statements"]


def _nodes(tree: Any) -> Iterator[dict[str, Any]]:
    """Every object in it, in no order; without recursion, for people may nest as they like."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            yield node
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)


def _beyond(node: dict[str, Any], catalog: set[str], views: Sequence[str]) -> str | None:
    """The name that this node asks for and nobody is told about; None if all is well.

    A name of the catalog is refused where it names a subquery too: elsewhere in the same SQL it would not.
    """
    path = [part.lower() for part in node.get("qualified_name", {}).get("path", ())]
    name = path[-1] if path else ""
    ours = _OWN_SCHEMA.issuperset(path[:-1])
    match node.get("type"):
        case "BASE_TABLE":
            allowed = ours and name not in catalog and "/" not in name
        case "TABLE_FUNCTION":
            name = node["function"]["function_name"].lower()
            allowed = name in _TABLE_FUNCTIONS
        case "SHOW_REF":
            allowed = "query" in node or name in _SHOWN or (ours and name in views)
        case _:
            name = node.get("function_name", "").lower()
            allowed = name not in _TELLING_FUNCTIONS
    return None if allowed else name
