"""Tokens for the page: id, text, a visible text and bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from glassgpt.errors import UserError
from glassgpt.lens import token_labels, visible_label
from glassgpt.tokenizers import Tokenizer


def token_rows(tokenizer: Tokenizer, ids: Sequence[int], labels: Sequence[str]) -> list[dict[str, Any]]:
    """Return a dict for each token. An id of −1 is no token: a patch of an image, or an unknown one."""
    return [_row(tokenizer, id, label) for id, label in zip(ids, labels, strict=True)]


def _row(tokenizer: Tokenizer, id: int, label: str) -> dict[str, Any]:
    is_text = id >= 0 and id not in tokenizer.specials.values()
    content = tokenizer.token_bytes([id]) if is_text else b""
    return {"id": id, "text": label, "shown": visible_label(label), "bytes": content.hex()}


def vocabulary(tokenizer: Tokenizer) -> list[str]:
    """Return the visible text of each id."""
    return [visible_label(label) for label in token_labels(tokenizer, range(tokenizer.n_vocab))]


def check_ids(ids: Sequence[int], n_vocab: int) -> None:
    """Raise UserError for an id outside the vocabulary."""
    if any(not 0 <= id < n_vocab for id in ids):
        raise UserError("ids: one is outside 0 … {last}. Take ids of this run's tokens.", last=n_vocab - 1)
