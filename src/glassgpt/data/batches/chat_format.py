"""Formats of conversations as tokens: GlassGPT's, and two that imported models know.

A format is data: nothing of a model's own Jinja template is executed. It is found by its special tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from glassgpt.tokenizers import Tokenizer

END_OF_TURN = "<end>"
CHAT_SPECIALS = ("<system>", "<user>", "<assistant>", END_OF_TURN)
"""Special tokens of a chat tokenizer."""


class ChatFormat(NamedTuple):
    """The text around each message. Special tokens in it are single tokens.

    >>> FORMATS[1].opening.format(role="user")
    '<|im_start|>user\\n'
    """

    name: str
    specials: tuple[str, ...]
    """A tokenizer with these knows the format."""
    opening: str
    """Before a message; `{role}` is its role."""
    end: str
    """Special token that ends a message."""
    after: str = ""
    """Text after that."""
    begin: str = ""
    """Text before the first message."""
    is_stripped: bool = False
    """Messages lose the spaces at both ends."""


FORMATS = (
    ChatFormat("GlassGPT", CHAT_SPECIALS, "<{role}>", END_OF_TURN),
    ChatFormat("ChatML", ("<|im_start|>", "<|im_end|>"), "<|im_start|>{role}\n", "<|im_end|>", "\n"),
    ChatFormat(
        "Llama 3",
        ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|begin_of_text|>"),
        "<|start_header_id|>{role}<|end_header_id|>\n\n",
        "<|eot_id|>",
        begin="<|begin_of_text|>",
        is_stripped=True,
    ),
)


def find_chat_format(tokenizer: Tokenizer) -> ChatFormat | None:
    """Return the first format whose special tokens a tokenizer has; None without one."""
    known = (each for each in FORMATS if all(name in tokenizer.specials for name in each.specials))
    return next(known, None)


def marker_ids(tokenizer: Tokenizer, marker: str) -> list[int]:
    """Encode text of a format, in which special tokens are single tokens.

    >>> from glassgpt.tokenizers import train_tokenizer
    >>> marker_ids(train_tokenizer("byte", "", specials=CHAT_SPECIALS), "A<end>B")
    [65, 259, 66]
    """
    return [id for part in _parts(tokenizer, marker) for id in part]


def _parts(tokenizer: Tokenizer, marker: str) -> Iterator[list[int]]:
    names = "|".join(map(re.escape, tokenizer.specials))
    for part in filter(None, re.split(f"({names})", marker)):
        special = tokenizer.specials.get(part)
        yield tokenizer.encode(part) if special is None else [special]
