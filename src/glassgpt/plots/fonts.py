"""Fonts of plots: the installed ones, their widths, and missing characters.

Matplotlib takes each character from the first font in a list that has it. GlassGPT ships no fonts.
"""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Iterable
from contextlib import suppress
from functools import cache

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font, LoadFlags

from glassgpt.language import N_

# Chinese, Japanese and Korean.
CJK = (
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
)
# One for each writing system is enough. DejaVu Sans comes with matplotlib: Latin, Greek, signs of labels.
WANTED = (
    "DejaVu Sans",
    *CJK,
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
REMEDY = N_(
    "Install a font that has them and restart Python; for Chinese, Japanese and "
    "Korean: Noto Sans CJK (Debian and Ubuntu: apt-get install fonts-noto-cjk, or "
    "the smaller fonts-wqy-microhei)."
)


@cache
def families() -> list[str]:
    """Return the fonts of WANTED on this machine, in that order.

    Matplotlib keeps a list of fonts in a file. Fonts that were installed later are added if the list has none
    for Chinese, Japanese and Korean.
    """
    if not _installed().intersection(CJK):
        _add_new_fonts()
    return [name for name in WANTED if name in _installed()]


def _installed() -> set[str]:
    return {font.name for font in font_manager.fontManager.ttflist}


def _add_new_fonts() -> None:
    """Add the fonts on this machine that matplotlib's list lacks, for this process."""
    known = {font.fname for font in font_manager.fontManager.ttflist}
    for path in sorted(set(font_manager.findSystemFonts()) - known):
        with suppress(Exception):  # a bitmap font, a broken file: matplotlib leaves them out as well
            font_manager.fontManager.addfont(path)


def without_glyph(texts: Iterable[str]) -> str:
    """Return the characters that no installed font can draw, sorted, without repeats."""
    return "".join(sorted(char for char in set("".join(texts)) if not _drawable(char)))


def warn_without_glyph(chars: str) -> None:
    """Warn once about all these characters, with a remedy."""
    shown = ", ".join(f"{char} (U+{ord(char):04X})" for char in chars[:8])
    more = N_(" and {n} more", n=len(chars) - 8) if len(chars) > 8 else ""
    warnings.warn(
        N_("{shown}{more}: missing in all installed fonts. {remedy}", shown=shown, more=more, remedy=REMEDY),
        UserWarning,
        stacklevel=4,
    )


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
