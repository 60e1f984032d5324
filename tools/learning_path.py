"""Write the table of the learning path in docs/guide/start-here.md, as `glassgpt learn` orders it.

`python tools/learning_path.py` updates the page between the markers; a test fails while they differ.
"""

from __future__ import annotations

import sys
from pathlib import Path

from glassgpt.explain import LearningStep, learning_path
from glassgpt.tables import markdown_table
from glassgpt.units import duration
from markers import replace_between

PAGE = Path(__file__).parent.parent / "docs" / "guide" / "start-here.md"
BEGIN, END = "<!-- path: written by tools/learning_path.py -->\n", "<!-- end of path -->"
HEAD = ("", "step", "in torch", "commands", "time")


def table() -> str:
    """Return a row for each step."""
    path = learning_path("no runs", language="en")
    return markdown_table(HEAD, (_row(n, step) for n, step in enumerate(path, 1)), right=(0, 4))


def _row(number: int, step: LearningStep) -> list[str]:
    commands = [f"`{each}`" for each in (step.command, step.use_command if step.train else "") if each]
    return [str(number), step.title, f"`{step.torch}`", "<br>".join(commands), duration(step.seconds)]


def replaced(text: str) -> str:
    """Replace the table between the markers of a page."""
    return replace_between(text, BEGIN, END, "\n" + table() + "\n\n")


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit(
            "tools/learning_path.py takes no arguments: it rewrites the table in docs/guide/start-here.md"
        )
    PAGE.write_text(replaced(PAGE.read_text("utf-8")), "utf-8")
