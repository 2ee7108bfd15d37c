"""Structured logs: one JSON object a line, or lines for people on a terminal. Never a secret."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog
from opentelemetry import trace
from structlog.typing import EventDict, Processor, WrappedLogger

from tocsin.observability.redaction import redact_fields, redact_text
from tocsin.visible import visible, visible_json


def configure_logging(level: str = "info", form: str = "auto", stream: TextIO | None = None) -> None:
    """Send all logs of this process to `stream` (standard error), those of libraries too.

    `form`: json, console or auto (console when `stream` is a terminal). May be called again.
    """
    stream = stream or sys.stderr
    console = form == "console" or (form == "auto" and stream.isatty())
    # no cache: tests and `serve --reload` configure more than once
    structlog.configure(
        processors=[*_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_shared(),
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendering(console, stream),
                _redact_line,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    # one line for each request that is sent, at the level of what people should read
    logging.getLogger("httpx").setLevel(max(root.level, logging.WARNING))


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; `name` is the part of Tocsin that speaks, such as `log` or `processor`."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name, part=name)
    return logger


def _shared() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper("iso", utc=True, key="time"),
        _add_trace,
        _redact_fields,
    ]


def _rendering(console: bool, stream: TextIO) -> list[Processor]:
    if console:
        # rich's tracebacks show local variables, which may be credentials
        plain = structlog.dev.plain_traceback
        return [_see_fields, structlog.dev.ConsoleRenderer(colors=stream.isatty(), exception_formatter=plain)]
    return [
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(ensure_ascii=False),
        lambda _, __, line: visible_json(str(line)),
    ]


def _add_trace(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = trace.format_trace_id(context.trace_id)
    return event


def _redact_fields(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return redact_fields(dict(event))


def _see_fields(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Paths and names are anybody's, and a terminal obeys what it is shown."""
    return {
        name: visible(value) if isinstance(value, str) and name != "exception" else value
        for name, value in event.items()
    }


def _redact_line(_: WrappedLogger, __: str, line: MutableMapping[str, Any] | str) -> str:
    # the finished line, so that tokens inside nested values and tracebacks are caught too
    return redact_text(str(line))
