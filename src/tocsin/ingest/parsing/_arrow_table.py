"""An Arrow IPC stream into a table of columns that are known to be sound and of bounded size."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from tocsin.errors import InvalidInputError, TooLargeError
from tocsin.events import I64
from tocsin.ingest.parsing._arrow_messages import refuse_compression
from tocsin.ingest.parsing.careful import too_many_lines
from tocsin.ingest.parsing.event import RESERVED
from tocsin.ingest.parsing.limits import ParseLimits

_INTS_PER_VIEW: Final = 4


def read_table(body: bytes, limits: ParseLimits) -> Any:
    """All rows with integers, float64, strings, booleans and `ts` as they came, each column in one chunk.

    A column of any other type is refused, and so is a table that would unfold to more than the body may.
    """
    try:
        refuse_compression(body)
        with pa.ipc.open_stream(body) as stream:
            table = stream.read_all()
        table.validate()  # no buffer ends before its column does, or the next step reads what is not there
        _check_size(table, limits)
        table.validate(full=True)  # looks at every text, so only after it is known how many bytes they are
        _check_names(table.column_names, limits)
        kept = [field.name for field in table.schema if not _is_void(field)]
        columns = [_column(name, table.column(name)) for name in kept]
        return pa.table(columns, names=kept)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise InvalidInputError(f"The body is no sound Arrow IPC stream: {str(error)[:200]}") from error


def is_text(kind: Any) -> bool:
    """Whether a column of this type holds strings."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_numeric(kind: Any) -> bool:
    """Whether a column of this type holds readings."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_void(field: Any) -> bool:
    """A column of the type null says nothing; `device` and `ts` must be there to be found missing."""
    return bool(pa.types.is_null(field.type)) and field.name not in {"device", "ts"}


def _check_size(table: Any, limits: ParseLimits) -> None:
    """Refuse before anything is unfolded: dictionaries and views may name one long text many times."""
    if table.num_rows > limits.lines:
        raise too_many_lines(limits)
    unfolded = table.num_rows * table.num_columns + sum(
        _text_bytes(chunk) for column in table.columns for chunk in column.chunks
    )
    if unfolded > limits.body_bytes:
        raise TooLargeError(
            f"The Arrow stream unfolds to more than {limits.body_bytes} bytes; send it in parts."
        )


def _check_names(names: list[str], limits: ParseLimits) -> None:
    for needed in ("device", "ts"):
        if needed not in names:
            raise InvalidInputError(f"The Arrow stream has no column {needed!r}.", field=needed)
    if len(set(names)) < len(names):
        raise InvalidInputError("The Arrow stream has two columns of one name.")
    for name in names:
        if not 0 < len(name) <= limits.name_characters:
            raise InvalidInputError(
                f"The Arrow stream has a column with an empty or long name: {name[:60]!r}."
            )


def _column(name: str, column: Any) -> Any:
    """The column in one chunk; strings of any encoding as plain ones, narrow floats as float64."""
    kind = column.type
    target = kind
    if pa.types.is_dictionary(kind) and is_text(kind.value_type):
        unfolded = [chunk.dictionary.cast(pa.string()).take(chunk.indices) for chunk in column.chunks]
        column = pa.chunked_array(unfolded, pa.string())
        target = pa.string()
    elif is_text(kind):
        target = pa.string()
    elif pa.types.is_floating(kind):
        target = pa.float64()
    elif pa.types.is_null(kind):
        target = pa.int64() if name == "ts" else pa.string()
    if not _is_read(name, target):
        raise InvalidInputError(
            f"The Arrow column {name!r} has the type {kind}, which is not read.", field=name
        )
    return column.cast(target).combine_chunks()


def _is_read(name: str, kind: Any) -> bool:
    if name == "ts":
        return bool(pa.types.is_timestamp(kind) or pa.types.is_integer(kind))
    if name in RESERVED:
        return bool(pa.types.is_string(kind))
    return bool(pa.types.is_string(kind) or pa.types.is_boolean(kind)) or is_numeric(kind)


def _text_bytes(chunk: Any) -> int:
    """What the strings of a chunk come to when each is written out."""
    if pa.types.is_dictionary(chunk.type):
        if not is_text(chunk.type.value_type):
            return 0
        lengths = _lengths(chunk.dictionary)
        used = pc.sum(pa.array(lengths).take(chunk.indices)).as_py()
        return int(lengths.sum()) + int(used or 0)
    return int(_lengths(chunk).sum()) if is_text(chunk.type) else 0


def _lengths(chunk: Any) -> I64:
    """Bytes of each string, 0 for null."""
    if not pa.types.is_string_view(chunk.type):
        lengths: I64 = pc.binary_length(chunk).fill_null(0).cast(pa.int64()).to_numpy()
        return lengths
    views = np.frombuffer(chunk.buffers()[1] or b"", np.int32)[::_INTS_PER_VIEW]
    valid = chunk.is_valid().to_numpy(zero_copy_only=False)
    own: I64 = np.where(valid, views[chunk.offset : chunk.offset + len(chunk)], 0).astype(np.int64)
    return own
