"""Wrapped paragraphs, Chinese ones included: a line may end after any Chinese character."""

from __future__ import annotations

import re

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, JustifyMethod, OverflowMethod
from rich.containers import Lines
from rich.measure import Measurement
from rich.text import Text

__all__ = ["WideText", "has_wide", "wrapped"]

WIDE = r"\u2e80-\u9fff\uf900-\uffef"
OPENING = "（「『“‘《"
CLOSING = "，。：；、！？）」』”’》"
UNIT = re.compile(
    rf"\s+|[{OPENING}]*(?:(?![{OPENING}])[{WIDE}]|(?:(?![{OPENING}])[^\s{WIDE}])+)[{CLOSING}]*|[{OPENING}]+"
)
"""Pieces of a text that stay on one line."""


def has_wide(text: str) -> bool:
    """True for a text with Chinese characters."""
    return re.search(f"[{WIDE}]", text) is not None


def wrapped(text: str, width: int) -> str:
    """Wrap a paragraph in lines of at most `width` cells, between words or Chinese characters.

    >>> print(wrapped("温度 T 使分布变平，或者变尖。", 16))
    温度 T 使分布变
    平，或者变尖。
    """
    ends = [*_ends(text, width), len(text)]
    return "\n".join(text[start:end].strip() for start, end in zip([0, *ends[:-1]], ends, strict=True))


def _ends(text: str, width: int) -> list[int]:
    """Return the offsets at which lines of at most `width` cells end; none for the last one."""
    ends, used = list[int](), 0
    for match in UNIT.finditer(text):
        size = cell_len(match[0])
        if used and used + size > width and not match[0].isspace():
            ends.append(match.start())
            used = 0
        used += size
    return ends


class WideText(Text):
    """Text that wraps between Chinese characters, where rich would wrap at spaces only."""

    def wrap(
        self,
        console: Console,
        width: int,
        *,
        justify: JustifyMethod | None = None,
        overflow: OverflowMethod | None = None,
        tab_size: int = 8,
        no_wrap: bool | None = None,
    ) -> Lines:
        """Return the lines of at most `width` cells."""
        options = {"justify": justify, "overflow": overflow, "tab_size": tab_size, "no_wrap": no_wrap}
        if no_wrap or self.no_wrap or not has_wide(self.plain):
            return super().wrap(console, width, **options)
        lines = Lines()
        for paragraph in self.split(allow_blank=True):
            for line in paragraph.divide(_ends(paragraph.plain, width)):
                line.rstrip()
                lines.extend(line.wrap(console, width, **options))
        return lines

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        if not has_wide(self.plain):
            return super().__rich_measure__(console, options)
        widest = max(map(cell_len, self.plain.splitlines()), default=0)
        return Measurement(max(map(cell_len, UNIT.findall(self.plain)), default=0), widest)
