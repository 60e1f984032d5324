"""Fonts of plots: the installed ones, their widths, and missing characters.

Matplotlib takes each character from the first font in a list that has it. GlassGPT ships no fonts.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterable
from functools import cache

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font, LoadFlags

# One for each writing system is enough. DejaVu Sans comes with matplotlib: Latin, Greek, signs of labels.
WANTED = (
    "DejaVu Sans",
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei",
    "PingFang SC",
    "Hiragino Sans GB",
    "Heiti SC",
    "Microsoft YaHei",
    "SimHei",
    "SimSun",
    "Noto Sans CJK JP",
    "Noto Sans JP",
    "Hiragino Sans",
    "Yu Gothic",
    "MS Gothic",
    "IPAexGothic",
    "Noto Sans CJK KR",
    "Noto Sans KR",
    "Apple SD Gothic Neo",
    "Malgun Gothic",
    "NanumGothic",
    "Noto Sans Arabic",
    "Noto Naskh Arabic",
    "Geeza Pro",
    "Noto Sans Hebrew",
    "Noto Sans Thai",
    "Tahoma",
    "Noto Sans Devanagari",
    "Lohit Devanagari",
    "Kohinoor Devanagari",
    "Mangal",
    "Nirmala UI",
    "Noto Sans Bengali",
    "Noto Sans Tamil",
    "Noto Sans Telugu",
    "Arial Unicode MS",
    "FreeSans",
    "Noto Emoji",
    "Symbola",
    "Segoe UI Symbol",
    "Apple Symbols",
)
POINTS = 72  # to the inch
REMEDY = (
    "Install a font that has them and restart Python; for Chinese, Japanese and Korean: Noto Sans CJK "
    "(Debian and Ubuntu: apt-get install fonts-noto-cjk, or the smaller fonts-wqy-microhei)."
)


@cache
def families() -> list[str]:
    """Return the fonts of WANTED on this machine, in that order."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return [name for name in WANTED if name in installed]


def without_glyph(texts: Iterable[str]) -> str:
    """Return the characters that no installed font can draw, sorted, without repeats."""
    return "".join(sorted(char for char in set("".join(texts)) if not _drawable(char)))


def warn_without_glyph(chars: str) -> None:
    """Warn once about all these characters, with a remedy."""
    shown = ", ".join(f"{char} (U+{ord(char):04X})" for char in chars[:8])
    more = f" and {len(chars) - 8} more" if len(chars) > 8 else ""
    warnings.warn(f"{shown}{more}: missing in all installed fonts. {REMEDY}", UserWarning, stacklevel=4)


def width(text: str) -> float:
    """Return the width of a text in multiples of the font size, without kerning.

    >>> round(width("0") + width("0"), 2), round(width("00"), 2)
    (1.27, 1.27)
    """
    return sum(map(_advance, text))


@cache
def _drawable(char: str) -> bool:
    if char.isspace() or unicodedata.category(char) in ("Cc", "Cf") or "\ufe00" <= char <= "\ufe0f":
        return True  # never drawn as a glyph of its own
    return any(font.get_char_index(ord(char)) for font in _faces())


@cache
def _advance(char: str) -> float:
    face = next((face for face in _faces() if face.get_char_index(ord(char))), None)
    if face is None:
        return 1.0
    face.set_size(100, POINTS)  # large, to avoid rounding
    return face.load_char(ord(char), flags=LoadFlags.NO_HINTING).linearHoriAdvance / 65536 / 100


@cache
def _faces() -> list[FT2Font]:
    properties = [font_manager.FontProperties(family=[name]) for name in families()]
    return [font_manager.get_font(font_manager.findfont(one)) for one in properties]
