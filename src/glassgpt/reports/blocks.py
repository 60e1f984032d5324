"""Parts of a report: sections with paragraphs, tables, figures and passages. The template draws them.

Every text here is plain: the template escapes it. Only a `Figure` holds markup, made and escaped by
`loss_chart.py` and `attention_map.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Prose:
    """A paragraph."""

    text: str
    style: str = ""
    """"" for body text, "lead" for the first sentence of a report, "faint" for a remark."""
    kind: str = "prose"


@dataclass(frozen=True)
class Table:
    """A table of texts. `right` names columns of numbers, `marked` rows in bold."""

    title: str
    """Read aloud by a screen reader, and not shown."""
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    right: Sequence[int] = ()
    marked: Sequence[int] = ()
    bars: Sequence[float | None] = ()
    """Length of a bar below the first cell of each row, 0 to 1."""
    small: bool = False
    kind: str = "table"


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    rows: Sequence[tuple[str, str]]
    small: bool = False
    kind: str = "facts"


@dataclass(frozen=True)
class Figure:
    """A drawing. `narrow` replaces `wide` on a phone; both are SVG."""

    wide: str
    narrow: str
    caption: str
    kind: str = "figure"


@dataclass(frozen=True)
class Piece:
    """A piece of a text; `source` is the place of a copied one in the training text."""

    text: str
    copied: bool = False
    source: str = ""


@dataclass(frozen=True)
class Passage:
    """A text of the model, in pieces."""

    title: str
    pieces: Sequence[Piece]
    remark: str = ""
    kind: str = "passage"


@dataclass(frozen=True)
class Command:
    """A line for a shell."""

    text: str
    kind: str = "command"


Block = Prose | Table | Facts | Figure | Passage | Command


@dataclass(frozen=True)
class Section:
    """A section with its blocks. `name` is its address in the page."""

    name: str
    title: str
    blocks: Sequence[Block] = field(default_factory=tuple[Block, ...])
