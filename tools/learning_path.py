"""Write the table of the learning path in the guide, in each language, as `glassgpt learn` orders it.

`python tools/learning_path.py` updates the pages between the markers; a test fails while they differ.
"""

from __future__ import annotations

import sys
from pathlib import Path

from glassgpt.explain import LearningStep, learning_path
from glassgpt.tables import markdown_table
from glassgpt.units import duration
from markers import replace_between

GUIDE = Path(__file__).parent.parent / "docs" / "guide"
PAGES = {"en": GUIDE / "start-here.md", "zh": GUIDE / "zh" / "start-here.md"}
BEGIN, END = "<!-- path: written by tools/learning_path.py -->\n", "<!-- end of path -->"
HEADS = {
    "en": ("", "step", "in torch", "commands", "time"),
    "zh": ("", "步骤", "torch 中", "命令", "时间"),
}


def table(language: str) -> str:
    """Return a row for each step."""
    path = learning_path("no runs", language=language)
    return markdown_table(HEADS[language], (_row(n, step) for n, step in enumerate(path, 1)), right=(0, 4))


def _row(number: int, step: LearningStep) -> list[str]:
    commands = [f"`{each}`" for each in (step.command, step.use_command if step.train else "") if each]
    return [str(number), step.title, f"`{step.torch}`", "<br>".join(commands), duration(step.seconds)]


def replaced(text: str, language: str = "en") -> str:
    """Replace the table between the markers of a page."""
    return replace_between(text, BEGIN, END, "\n" + table(language) + "\n\n")


if __name__ == "__main__":
    if sys.argv[1:]:
        sys.exit("tools/learning_path.py takes no arguments: it rewrites the tables in docs/guide")
    for name, page in PAGES.items():
        page.write_text(replaced(page.read_text("utf-8"), name), "utf-8")
