"""Wrapped paragraphs, Chinese ones included."""

from __future__ import annotations

import re

from rich.cells import cell_len

WIDE = r"\u2e80-\u9fff\uf900-\uffef"
CLOSING = "，。：；、！？）」』”’"
UNIT = re.compile(rf"\s+|[{WIDE}][{CLOSING}]*|[^\s{WIDE}]+[{CLOSING}]*")


def wrapped(text: str, width: int) -> str:
    """Wrap a paragraph in lines of at most `width` cells, between words or Chinese characters.

    >>> print(wrapped("温度 T 使分布变平，或者变尖。", 16))
    温度 T 使分布变
    平，或者变尖。
    """
    lines, line, used = [], "", 0
    for unit in UNIT.findall(text):
        size = cell_len(unit)
        if used + size > width and line.strip():
            lines.append(line.rstrip())
            line, used = "", 0
            if unit.isspace():
                continue
        line, used = line + unit, used + size
    return "\n".join([*lines, line.rstrip()])
