"""Lets the examples in docstrings show as code: to Markdown, `>>>` is a quotation within quotations.

An extension of griffe, which reads the docstrings for the API pages. One without example stays as it is.
"""

from __future__ import annotations

from typing import Any

import griffe


class Doctests(griffe.Extension):
    """Puts a fence around every run of lines from `>>>` to the next blank line."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Called for every object that has been read."""
        if obj.docstring is not None:
            obj.docstring.value = fence_examples(obj.docstring.value)


def fence_examples(text: str) -> str:
    """`text` with its examples fenced.

    >>> fence_examples(">>> 1\\n1\\n\\nso")
    '```pycon\\n>>> 1\\n1\\n```\\n\\nso'
    """
    lines: list[str] = []
    inside = False
    for line in [*text.split("\n"), ""]:
        if not inside and line.startswith(">>> "):
            lines += ["```pycon", line] if not lines or not lines[-1] else ["", "```pycon", line]
            inside = True
        elif inside and not line.strip():
            lines += ["```", line]
            inside = False
        else:
            lines.append(line)
    return "\n".join(lines[:-1])
