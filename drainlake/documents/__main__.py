"""Renew the README's tables and the pages of the questions in the working folder."""

from __future__ import annotations

import tempfile
from pathlib import Path

from drainlake.documents import example_lake, question_pages
from drainlake.documents.readme import renewed
from drainlake.lake import open_lake


def main() -> None:
    """Write what has changed; pages of questions that are gone are removed."""
    readme = Path("README.md")
    readme.write_text(renewed(readme.read_text("utf-8")), "utf-8")
    folder = Path(question_pages.FOLDER)
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as home, open_lake(example_lake.make(Path(home))) as connection:
        pages = dict(question_pages.pages(connection))
    for old in folder.glob("*.md"):
        if old.name not in pages:
            old.unlink()
    for name, text in pages.items():
        (folder / name).write_text(text, "utf-8")


if __name__ == "__main__":
    main()
