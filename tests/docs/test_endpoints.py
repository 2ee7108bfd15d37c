"""The page of endpoints is whole, and what it names is there."""

from __future__ import annotations

import re
from pathlib import Path

from proof.endpoints.__main__ import page
from proof.endpoints.row import dependency_rows, endpoint_rows, job_rows
from tocsin.api.app import bare_app
from tocsin.observability.dependency import Dependency

_SECTIONS = "access|directories|dumps|http|ingest|lake|log|logs|observability|processing|query|watch"
_SETTING = re.compile(rf"`((?:{_SECTIONS})\.[a-z_.]+)[:`]")


def test_the_page_is_up_to_date(root: Path) -> None:
    """`make reference` writes docs/reference/endpoints.md anew; nobody edits it by hand."""
    assert (root / "docs" / "reference" / "endpoints.md").read_text() == page()


def test_every_operation_has_its_row() -> None:
    """A new operation says what it needs, or this fails."""
    described = bare_app().openapi()["paths"].items()
    operations = [f"{method.upper()} {path}" for path, methods in described for method in methods]
    assert sorted(row.name for row in endpoint_rows()) == sorted(operations)


def test_every_dependency_has_its_row_and_no_row_names_another() -> None:
    """Names are declared once, in the code."""
    named = {name for row in [*endpoint_rows(), *job_rows()] for name in row.needs | row.may}
    assert [row.name for row in dependency_rows()] == sorted(Dependency)
    assert named <= set(Dependency)
    assert {name for row in [*endpoint_rows(), *job_rows()] for name in row.sets_going} <= {
        row.name for row in job_rows()
    }


def test_every_test_that_is_named_exists(root: Path) -> None:
    """What is said to happen without a dependency is shown by a test that can be run."""
    for row in dependency_rows():
        assert row.shown_by, row.name
        for test in row.shown_by:
            file, _, function = test.partition("::")
            assert f"def {function}" in (root / file).read_text(), test


def test_every_setting_that_is_named_exists(root: Path) -> None:
    """Whoever reads of a limit finds it in the configuration."""
    configuration = (root / "docs" / "reference" / "configuration.md").read_text()
    sections = re.split(r"^## ", configuration, flags=re.MULTILINE)
    known = {
        f"{section.partition(chr(10))[0]}.{field}"
        for section in sections
        for field in re.findall(r"^\| `(\w+)` \|", section, flags=re.MULTILINE)
    }
    assert sorted(set(_SETTING.findall(page())) - known - {"access.db"}) == []
