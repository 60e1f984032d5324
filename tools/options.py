"""Write the tables of options in docs/guide, as `glassgpt train --help-all` groups them, in each language.

`python tools/options.py` updates the pages between the markers; a test fails while they differ.
"""

from __future__ import annotations

import sys
from pathlib import Path

from cyclopts.help import HelpEntry

from glassgpt.cli.help import description, help_page
from glassgpt.cli.main import app
from glassgpt.cli.view.terminal import Terminal
from glassgpt.language import _, using
from glassgpt.tables import markdown_table
from markers import replace_between

GUIDE = Path(__file__).parent.parent / "docs" / "guide"
PAGES = {"en": GUIDE / "options.md", "zh": GUIDE / "zh" / "options.md"}
HEADINGS = {"en": ["option", "effect"], "zh": ["选项", "作用"]}
BEGIN, END = "<!-- options: written by tools/options.py -->\n", "<!-- end of options -->"


def tables(language: str) -> str:
    """Return a heading and a table for each group."""
    with using(language):
        groups = help_page(app, ["train"], Terminal()).options()
        parts = [
            f"### {_(str(group.title))}\n\n{markdown_table(HEADINGS[language], map(_row, group.entries))}\n"
            for group in groups
        ]
    return "\n".join(parts)


def _row(entry: HelpEntry) -> list[str]:
    names = entry.display_labels_with_metavar
    return [", ".join(f"`{name}`" for name in names), description(entry).plain]


def replaced(text: str, language: str = "en") -> str:
    """Replace the tables between the markers of a page."""
    return replace_between(text, BEGIN, END, "\n" + tables(language) + "\n")


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit("tools/options.py takes no arguments: it rewrites the tables of options in docs/guide")
    for name, page in PAGES.items():
        page.write_text(replaced(page.read_text("utf-8"), name), "utf-8")
