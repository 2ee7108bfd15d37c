"""Links between pages, and what pages refer to."""

from __future__ import annotations

import re
from pathlib import Path

_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#+ (.+?)\s*$", re.MULTILINE)


def _prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text())


def _anchors(page: Path) -> set[str]:
    """The anchors that both GitHub and the site make of headings."""
    plain = (re.sub(r"[^\w\s-]", "", heading).strip().lower() for heading in _HEADING.findall(_prose(page)))
    return {re.sub(r"\s+", "-", heading) for heading in plain}


def _broken(page: Path) -> list[str]:
    bad = []
    for link in _LINK.findall(_prose(page)):
        target, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        path = (page.parent / target).resolve() if target else page
        if not path.exists() or (anchor and path.suffix == ".md" and anchor not in _anchors(path)):
            bad.append(link)
    return bad


def test_every_link_leads_somewhere(pages: list[Path]) -> None:
    """Links to files and headings of the project resolve."""
    assert {page.name: _broken(page) for page in pages if _broken(page)} == {}


def test_the_site_links_only_inside_itself_or_to_the_web(pages: list[Path], root: Path) -> None:
    """A page of the site never points at a file that the site does not have."""
    docs = root / "docs"
    outside = [
        (page.name, link)
        for page in pages
        if page.is_relative_to(docs)
        for link in _LINK.findall(_prose(page))
        if "://" not in link and not (page.parent / link.partition("#")[0]).resolve().is_relative_to(docs)
    ]
    assert outside == []


def test_every_named_source_file_exists(pages: list[Path], root: Path) -> None:
    """What a page names in backticks as a path of the project is there."""
    named = re.compile(r"`((?:src|tests|benchmarks|scripts|docs|deploy)/[\w./-]+)`")
    missing = [
        (page.name, name)
        for page in pages
        if page.name != "CHANGELOG.md"
        for name in named.findall(_prose(page))
        if not (root / name).exists()
    ]
    assert missing == []
