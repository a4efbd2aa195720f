"""Every relative link of every page leads somewhere, to the heading too."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import pytest

ROOT = Path(__file__).parents[1]
LISTED = subprocess.run(["git", "ls-files", "*.md"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
PAGES = tuple(LISTED.split())


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^ *```.*?^ *```$", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """What the headings of a page are linked by: lower case, blanks as hyphens, no other signs."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    shown = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).strip().lower() for heading in headings]
    return {re.sub(r"[^\w\- ]", "", heading).replace(" ", "-") for heading in shown}


def broken(page: Path) -> list[str]:
    """The relative links of a page that lead nowhere."""
    found = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        parts = urlsplit(link)
        if parts.scheme:
            continue
        target = page.parent / parts.path if parts.path else page
        has_heading = not parts.fragment or target.suffix != ".md" or parts.fragment in anchors(target)
        if not target.exists() or not has_heading:
            found.append(link)
    return found


def test_every_relative_link_leads_somewhere() -> None:
    """A page that was moved or renamed must not leave its readers behind."""
    if not PAGES:
        pytest.skip("no git here that lists the pages")
    assert {page: links for page in PAGES if (links := broken(ROOT / page))} == {}


def test_a_link_to_nowhere_is_found(tmp_path: Path) -> None:
    """A file that is missing, a heading that is missing; not what is code, or outside."""
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b`: c\n[1](#a-b-c) [2](page.md) [3](gone.md) [4](page.md#gone) [5](https://x.y)\n```\n](x)\n```\n"
    )
    assert broken(page) == ["gone.md", "page.md#gone"]
