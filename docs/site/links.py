"""Relative links keep their meaning when a page moves from the repository into the site.

A link to a page leads to that page, one to any other file to a copy of it below files/, and one to a
folder without a page becomes plain text: a site has nothing to show there. A link to nothing stops the build.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import unquote

FENCE = re.compile(r"^ {0,3}(```+|~~~+)")
CODE = re.compile(r"(`+)(?!`).+?(?<!`)\1(?!`)")
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(<?([^)\s>]+)>?((?:\s+\"[^\"]*\")?)\)")
DEFINITION = re.compile(r"^(\[[^\]]+\]:\s*)(\S+)()")
ATTRIBUTE = re.compile(r"(\b(?:src|href)=\")([^\"]+)(\")")


class Links:
    """Knows where every page went. `sources` maps a file of the repository to its page, relative to `out`."""

    def __init__(self, root: Path, out: Path, sources: Mapping[Path, str]) -> None:
        self.root, self.out, self.sources = root, out, sources

    def moved(self, text: str, source: Path) -> str:
        """`text`, a page that stood at `source`, with links that hold at its new place."""

        def inline(match: re.Match[str]) -> str:
            target = self._target(match[3], source)
            return f"{match[1]}[{match[2]}]({target}{match[4]})" if target else match[2]

        def attribute(match: re.Match[str]) -> str:
            return match[1] + (self._target(match[2], source) or "#") + match[3]

        def line(text: str) -> str:
            return DEFINITION.sub(attribute, ATTRIBUTE.sub(attribute, LINK.sub(inline, text)))

        return outside_code(text, line)

    def _target(self, link: str, source: Path) -> str | None:
        """What to write instead of `link`; None for a folder that has no page."""
        path, mark, anchor = link.partition("#")
        if not path or re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:|/", path):
            return link
        there = Path(os.path.normpath(source.parent / unquote(path)))
        if not there.is_relative_to(self.root) or not there.exists():
            sys.exit(f"{source.relative_to(self.root)} links to {link}, which does not exist")
        if there.is_dir():
            pages = (there / "README.md", there / "index.md")
            if (page := next((p for p in pages if p in self.sources), None)) is None:
                return None
            there = page
        name = self.sources.get(there) or self._copied(there)
        here = Path(self.sources[source]).parent
        return Path(os.path.relpath(name, here)).as_posix() + mark + anchor

    def _copied(self, file: Path) -> str:
        name = "files/" + file.relative_to(self.root).as_posix()
        (self.out / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, self.out / name)
        return name


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """`change` each line of Markdown that is not inside a fence, sparing `code` within the line.

    >>> outside_code("a `a` a", str.upper)
    'A `a` A'
    """
    lines: list[str] = []
    fence = ""
    for line in text.split("\n"):
        mark = FENCE.match(line)
        if fence:
            fence = "" if mark and mark[1].startswith(fence) else fence
        elif mark:
            fence = mark[1]
        else:
            line = _sparing_code(line, change)
        lines.append(line)
    return "\n".join(lines)


def _sparing_code(line: str, change: Callable[[str], str]) -> str:
    """Code is lifted out first: a link's text may hold some."""
    kept: list[str] = []

    def lift(match: re.Match[str]) -> str:
        kept.append(match[0])
        return f"\0{len(kept) - 1}\0"

    changed = change(CODE.sub(lift, line))
    return re.sub(r"\0(\d+)\0", lambda match: kept[int(match[1])], changed)
