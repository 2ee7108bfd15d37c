"""What the rules that need memory refuse of log lines, told as the lines that were sent."""

from __future__ import annotations

from dataclasses import replace

from tocsin.ingest.admission import Admitted
from tocsin.ingest.parsing.line_error import LineError, LineForm
from tocsin.ingest.parsing.parsed_body import ParsedBody
from tocsin.log_lines import sent_again


def as_lines_sent(admitted: Admitted, parsed: ParsedBody) -> Admitted:
    """The same, where an error that came after parsing has its line's bytes, and the form of a log line."""
    known = len(parsed.errors)
    if len(admitted.errors) == known:
        return admitted
    told = {error.line for error in parsed.errors}
    row_of = {line: row for row, line in enumerate(parsed.line.tolist())}

    def restored(error: LineError) -> LineError:
        if error.line in told:
            return error
        return replace(error, body=sent_again(parsed.batch, row_of[error.line]), form=LineForm.LOG_LINE)

    return replace(admitted, errors=[restored(error) for error in admitted.errors])
