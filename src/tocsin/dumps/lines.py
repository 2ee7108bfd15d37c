"""Bytes to lines: of bounded length, any bytes survive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator


def line_blocks(pieces: Iterable[bytes], line_bytes_max: int) -> Iterator[list[bytes]]:
    r"""Lines without their ends (`\n` or `\r\n`), in lists as they come; a longer line comes in pieces.

    Where the input was cut changes nothing but the lists. What follows the last end is a line, unless it is
    empty. In memory are a piece and a line.

    >>> list(line_blocks([b"a\r", b"\nbc", b"d\xff\n\n", b"e"], 3))
    [[b'a'], [b'bcd', b'\xff', b''], [b'e']]
    """
    pending = b""
    for piece in pieces:
        lines = piece.split(b"\n")
        lines[0] = pending + lines[0]
        pending = lines.pop()
        if lines:
            # looking is much cheaper than a pass over all lines, which is seldom needed
            first = lines[0]
            plain = b"\r" not in piece and not first.endswith(b"\r")
            short = max(len(piece), len(first)) <= line_bytes_max
            yield lines if plain and short else _finished(lines, line_bytes_max)
        if len(pending) > line_bytes_max + 1:
            cut, pending = _cut(pending, line_bytes_max)
            yield cut
    if pending:
        yield list(_pieces(pending, line_bytes_max))


def lines(pieces: Iterable[bytes], line_bytes_max: int) -> Iterator[bytes]:
    """The same, one by one."""
    for block in line_blocks(pieces, line_bytes_max):
        yield from block


def _finished(lines: list[bytes], line_bytes_max: int) -> list[bytes]:
    bare = [line[:-1] if line.endswith(b"\r") else line for line in lines]
    if len(max(bare, key=len)) <= line_bytes_max:
        return bare
    return [piece for line in bare for piece in _pieces(line, line_bytes_max)]


def _pieces(line: bytes, line_bytes_max: int) -> Iterator[bytes]:
    for at in range(0, max(1, len(line)), line_bytes_max):
        yield line[at : at + line_bytes_max]


def _cut(pending: bytes, line_bytes_max: int) -> tuple[list[bytes], bytes]:
    """Whole pieces of a line whose end is not in sight; what stays holds at least one byte of the line.

    Two bytes stay, since the last of them may be the `\\r` of an end.
    """
    count = (len(pending) - 2) // line_bytes_max
    end = count * line_bytes_max
    return [pending[at : at + line_bytes_max] for at in range(0, end, line_bytes_max)], pending[end:]
