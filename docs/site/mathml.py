"""Mathematics as MathML, written when the site is built: browsers show it without a script or font of ours.

An extension of Python-Markdown for `$…$` within a line and `$$…$$` as a paragraph. A dollar that is followed
by a space, or whose partner is followed by a digit, stays a dollar.
"""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from latex2mathml.converter import convert
from markdown import Markdown
from markdown.blockprocessors import BlockProcessor
from markdown.extensions import Extension
from markdown.inlinepatterns import InlineProcessor

INLINE = r"(?<![\\$])\$(?![\s$])([^$\n]*?[^\s\\$])\$(?![\d$])"
BLOCK = re.compile(r"^\s*\$\$(.+?)\$\$\s*$", re.DOTALL)


class Inline(InlineProcessor):
    """`$…$` within a line."""

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:
        """Returns the formula, put aside from what else reads the line."""
        return self.md.htmlStash.store(convert(m[1])), m.start(0), m.end(0)


class Display(BlockProcessor):
    """`$$…$$` as a paragraph of its own."""

    def test(self, parent: ElementTree.Element, block: str) -> bool:
        """Whether this block is one."""
        return BLOCK.match(block) is not None

    def run(self, parent: ElementTree.Element, blocks: list[str]) -> None:
        """Take it out of the blocks and into the page."""
        match = BLOCK.match(blocks.pop(0))
        assert match is not None
        paragraph = ElementTree.SubElement(parent, "div", {"class": "formula"})
        paragraph.text = self.parser.md.htmlStash.store(convert(match[1].strip(), display="block"))


class MathML(Extension):
    """Adds both to Python-Markdown."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Below code (190), above emphasis: neither reads the other's signs."""
        md.inlinePatterns.register(Inline(INLINE, md), "mathml", 185)
        md.parser.blockprocessors.register(Display(md.parser), "mathml", 75)


def makeExtension(**settings: Any) -> MathML:
    """The entry that Python-Markdown looks for."""
    return MathML(**settings)
