"""The page of the API is what the API says of itself."""

from __future__ import annotations

from pathlib import Path

from tocsin.api.reference import render_reference


def test_api_page_is_up_to_date(root: Path) -> None:
    """`make reference` writes docs/reference/api.md anew; nobody edits it by hand."""
    assert (root / "docs" / "reference" / "api.md").read_text() == render_reference()
