"""Gradients from outputs to inputs, for the chapters `graph` and `mask`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassgpt.explain.context import ChapterContext, Demo
from glassgpt.hooks import record
from glassgpt.models import Encoder, Model, Seq2Seq

N_DRAWN = 64
"""Questions that are drawn, to choose from."""


def held_out(demo: Demo, n: int, length: int, generator: torch.Generator) -> Tensor:
    """Return `n` pieces of held-out text as ids (n, T); T is `length`, or less for short texts."""
    config = demo.model.config
    length = min(length, config.block_size, config.window or length)
    if config.family in ("seq2seq", "captioner") or config.labels:
        split = demo.examples.val
        rows = split.text if config.family == "captioner" else split.source
        length = min(length, int(rows.lengths.max()))
        long = [row for row in range(len(rows)) if len(rows[row]) >= length]
        plain = [row for row in long if demo.tokenizer.decode(rows[row][:length]).isascii()]
        long = plain or long  # prefer the script that every font has
        drawn = torch.randint(len(long), (n,), generator=generator).tolist()
        pieces = [rows[long[i]][:length] for i in drawn]
    else:
        ids = demo.tokens.val.ids
        length = min(length, len(ids))
        starts = torch.randint(len(ids) - length + 1, (n,), generator=generator).tolist()
        pieces = [ids[start : start + length] for start in starts]
    return torch.stack([torch.from_numpy(piece.astype("int64")) for piece in pieces])


def held_out_text(run: Path | str, length: int = 48, seed: int = 0) -> str:
    """Return a piece of a run's held-out text, of at most `length` tokens.

    Of a translator it is a text to translate, of a captioner a question.
    """
    demo = ChapterContext(Path(run), seed).own
    assert demo is not None
    ids = held_out(demo, 1, length, torch.Generator().manual_seed(seed))[0]
    return demo.tokenizer.decode(ids.tolist())


def held_out_prompt(run: Path | str, seed: int = 0) -> dict[str, Any]:
    """Return a held-out text of a run as arguments of `trace`; of a captioner, a question with its image."""
    demo = ChapterContext(Path(run)).own
    assert demo is not None
    if demo.model.config.family != "captioner":
        return {"text": held_out_text(run, seed=seed)}
    split, row = demo.examples.val, _drawn_row(demo, seed)
    assert split.images is not None and split.image is not None
    return {"text": _question(demo, row), "image": split.images[split.image[row]]}


def held_out_questions(run: Path | str, seed: int = 0) -> list[str]:
    """Return all held-out questions about the image of `held_out_prompt`; [] for a model without images."""
    demo = ChapterContext(Path(run)).own
    assert demo is not None
    if demo.model.config.family != "captioner":
        return []
    return list(dict.fromkeys(_questions(demo, _drawn_row(demo, seed))))


def _drawn_row(demo: Demo, seed: int) -> int:
    """Return a row; of some, the one with the most questions about its image that every font can show."""
    order = torch.randperm(len(demo.examples.val), generator=torch.Generator().manual_seed(seed))
    drawn = order[:N_DRAWN].tolist()
    plain = [row for row in drawn if _question(demo, row).isascii()] or drawn
    return max(plain, key=lambda row: sum(question.isascii() for question in _questions(demo, row)))


def _questions(demo: Demo, row: int) -> list[str]:
    """Return the questions about the image of a row."""
    image = demo.examples.val.image
    assert image is not None
    return [_question(demo, int(other)) for other in np.flatnonzero(image == image[row])]


def _question(demo: Demo, row: int) -> str:
    split = demo.examples.val
    return demo.tokenizer.decode(split.text[row][: split.n_prompt[row]])


def influence(model: Model, tokens: Tensor, generator: torch.Generator) -> Tensor:
    """Compute the norm of the gradient of each output for each input: (B, T, B, T).

    tokens: (B, T). Inputs are the states before the first block, outputs the states after the last norm along
    a random direction. 0 means that there is no path.
    """
    with torch.enable_grad(), record(model, ["blocks.0.resid_pre", "norm_f"], detach=False) as seen:
        model.trunk(tokens)
    x, y = seen["blocks.0.resid_pre"], seen["norm_f"]  # (B, T, C)
    along = (y @ torch.randn(y.shape[-1], generator=generator)).flatten()  # (B · T,)
    rows = [torch.autograd.grad(each, x, retain_graph=True)[0].norm(dim=-1) for each in along]
    return torch.stack(rows).view(*tokens.shape, *tokens.shape)  # (B · T, B, T) -> (B, T, B, T)


def encoder_of(demo: Demo) -> Encoder:
    """Return the encoder of a demo: its model, or the encoder of a translator."""
    model = demo.model.encoder if isinstance(demo.model, Seq2Seq) else demo.model
    assert isinstance(model, Encoder)
    return model
