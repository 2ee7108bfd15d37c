"""Characters that act are named wherever something is shown, and kept wherever it is stored."""

from __future__ import annotations

import io
import json
import unicodedata
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from tests.lake_kit import result_of
from tocsin.cli.output import finish, note
from tocsin.cli.query import _lines
from tocsin.lake.export import export
from tocsin.observability.logging import configure_logging, get_logger
from tocsin.visible import ACTING, visible, visible_json, visible_lines

NASTY = "pump\x1b[2J\u202e7\x9b31m\u2066\u200b\U000e0041"


@given(st.text())
def test_nothing_acts_any_more(text: str) -> None:
    """No control and no direction is left; what was visible stays as it is."""
    shown = visible(text)
    assert not ACTING.search(shown)
    assert all(unicodedata.category(character) != "Cc" for character in shown)
    assert ACTING.search(text) or shown == text


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"])))
def test_json_keeps_its_meaning(text: str) -> None:
    """A program that reads the escaped JSON gets what was stored."""
    shown = visible_json(json.dumps({text: [text]}, ensure_ascii=False))
    assert json.loads(shown) == {text: [text]}
    assert not ACTING.search(shown)


def test_commands_print_nothing_that_acts(capsys: pytest.CaptureFixture[str]) -> None:
    """Tables, lines, notes and JSON of a command are safe on a terminal."""
    table = _lines({"columns": [{"name": NASTY}], "rows": [[NASTY + "\n"]]})
    assert not ACTING.search("".join(table))
    finish({"device": NASTY}, [NASTY], as_json=False)
    finish({"device": NASTY}, [NASTY], as_json=True)
    note(NASTY)
    said = capsys.readouterr()
    assert not ACTING.search((said.out + said.err).replace("\n", ""))
    assert json.loads(said.out.splitlines()[-1]) == {"device": NASTY}


def test_csv_shows_and_parquet_keeps(tmp_path: Path) -> None:
    """In CSV they are named and formulas defused, wide ones too; Parquet and NDJSON have what was stored."""
    cells = [NASTY, "\uff1d1+1", "\n=1", None]
    table = pa.table({NASTY: cells, "list": [[NASTY], [], None, None]})
    export(result_of(table), tmp_path / "x.csv")
    text = (tmp_path / "x.csv").read_text()
    assert visible_lines(text) == text
    read = pa.csv.read_csv(tmp_path / "x.csv", parse_options=pa.csv.ParseOptions(newlines_in_values=True))
    assert read.column(0).to_pylist()[:3] == [visible(NASTY), "'\uff1d1+1", "'\n=1"]
    assert json.loads(read.column("list").to_pylist()[0]) == [NASTY]
    export(result_of(table), tmp_path / "x.ndjson")
    assert json.loads((tmp_path / "x.ndjson").read_text().splitlines()[0])[NASTY] == NASTY


@pytest.mark.parametrize("form", ["console", "json"])
def test_log_lines_do_not_act(form: str) -> None:
    """Whoever asks for a path with ESC in it writes nothing to the operator's terminal."""
    stream = io.StringIO()
    configure_logging("warning", form, stream)
    get_logger("test").warning("request_failed", path=NASTY)
    configure_logging("warning", "json")
    structlog.contextvars.clear_contextvars()
    line = stream.getvalue().rstrip("\n")
    assert "7" in line
    assert not ACTING.search(line)
