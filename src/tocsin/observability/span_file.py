"""Spans as a file of JSON lines, written by OpenTelemetry's own exporter of text."""

from __future__ import annotations

import os
from collections.abc import Sequence
from io import FileIO, TextIOBase
from pathlib import Path
from typing import IO, Final, cast

from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export import BatchSpanProcessor, ConsoleSpanExporter, SpanExporter

from tocsin.config.errors import ConfigError
from tocsin.config.sections import ObservabilityConfig


class SpanFile(TextIOBase):
    """Two files at most, of `bytes_max` each: the one before this has `.1` behind its name.

    For their owner alone: a span of a request that failed has the error's text. A line is there as a whole
    or not at all, unless the machine or its disk fails; what is written behind such a one begins a new line.

    Written by one thread, that of the exporter. OSError where it can't be opened.
    """

    def __init__(self, path: Path, bytes_max: int) -> None:
        self._path: Final = path
        self._bytes_max: Final = bytes_max
        self._file = _opened(path)

    def write(self, text: str, /) -> int:
        """Append a line; begin anew before it where it no longer fits."""
        line = text.encode()
        if self._file.tell() and self._file.tell() + len(line) > self._bytes_max:
            self._path.replace(self._path.with_name(self._path.name + ".1"))
            self._file.close()
            self._file = _opened(self._path)
        self._file.write(line)
        return len(text)

    def flush(self) -> None:
        """What was written is there already."""

    def close(self) -> None:
        self._file.close()
        super().close()


def _opened(path: Path) -> FileIO:
    file = FileIO(path, "a+", opener=lambda name, flags: os.open(name, flags, 0o600))
    if file.tell() and os.pread(file.fileno(), 1, file.tell() - 1) != b"\n":
        file.write(b"\n")
    return file


class _Exporter(ConsoleSpanExporter):
    """Closes its file at the end."""

    def shutdown(self) -> None:
        self.out.close()


def span_exporter(path: Path, bytes_max: int) -> SpanExporter:
    """Writes each span as a line of JSON, as OpenTelemetry names its parts."""
    out = cast("IO[str]", SpanFile(path, bytes_max))  # as the exporter declares it, which only writes
    return _Exporter(out=out, formatter=_line)


def span_files(config: ObservabilityConfig) -> Sequence[SpanProcessor]:
    """What writes spans behind, every few seconds and at the end, if a file is named.

    ConfigError where that can't be written.
    """
    if config.trace_file is None:
        return ()
    try:
        exporter = span_exporter(config.trace_file, config.trace_file_bytes)
    except OSError as error:
        raise ConfigError(
            f"observability.trace_file: {config.trace_file} can't be written: {error.strerror}"
        ) from error
    return (BatchSpanProcessor(exporter),)


def _line(span: ReadableSpan) -> str:
    text: str = span.to_json(indent=None)
    return text + "\n"
