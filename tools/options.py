"""Write the tables of options in docs/guide/options.md, as `glassgpt train --help-all` groups them.

`python tools/options.py` updates the page between the markers; a test fails while they differ.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cyclopts.help import HelpEntry

from glassgpt.cli.help import description, help_page
from glassgpt.cli.main import app
from glassgpt.cli.view.terminal import Terminal
from glassgpt.tables import markdown_table
from markers import replace_between

PAGE = Path(__file__).parent.parent / "docs" / "guide" / "options.md"
BEGIN, END = "<!-- options: written by tools/options.py -->\n", "<!-- end of options -->"


def tables() -> str:
    """Return a heading and a table for each group."""
    groups = help_page(app, ["train"], Terminal()).options()
    parts = (
        f"### {group.title}\n\n{markdown_table(['option', 'effect'], map(_row, group.entries))}\n"
        for group in groups
    )
    return "\n".join(parts)


def _row(entry: HelpEntry) -> list[str]:
    names = entry.display_labels_with_metavar
    return [", ".join(f"`{name}`" for name in names), description(entry).plain]


def replaced(text: str) -> str:
    """Replace the tables between the markers of a page."""
    return replace_between(text, BEGIN, END, "\n" + tables() + "\n")


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit("tools/options.py takes no arguments: it rewrites the tables in docs/guide/options.md")
    PAGE.write_text(replaced(PAGE.read_text("utf-8")), "utf-8")
