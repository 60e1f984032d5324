"""Where the heads of a cross-attention look, and what a model says without its memory.

What the chapter `cross` is made of; not a chapter itself.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from glassgpt.data import ENGLISH, IGNORE, cell_of
from glassgpt.errors import UserError
from glassgpt.explain.context import Demo
from glassgpt.hooks import record
from glassgpt.objective import CrossEntropy

BATCH = 100
MIN_COPIES = 40
"""Fewer places do not show where a head looks."""
SIGMAS = 4


@dataclass(frozen=True)
class Looks:
    """How often, or how much, the best head looked where it should: chosen on one half, measured on the
    other."""

    layer: int
    head: int
    share: float
    chance: float
    """What a head reaches that looks anywhere."""
    n: int
    """Places that were measured."""

    @property
    def limit(self) -> float:
        """More than chance: 4 standard errors of n shares between 0 and 1 whose mean is `chance`."""
        return self.chance + SIGMAS * math.sqrt(self.chance * (1 - self.chance) / self.n)


def best_head(shares: Tensor, chances: Tensor, chosen_on: Tensor) -> Looks:
    """shares: (n, L, H) of each place; chances: (n,); chosen_on: (n,), True where the head is
    chosen."""
    means = shares[chosen_on].mean(0)  # (L, H)
    layer, head = divmod(int(means.argmax()), means.shape[1])
    rest = ~chosen_on
    mean = shares[rest, layer, head].mean().item()
    return Looks(layer, head, mean, chances[rest].mean().item(), int(rest.sum()))


@torch.inference_mode()
def cross_weights(demo: Demo, rows: np.ndarray) -> Tensor:
    """Who looks at what of the memory, in some held-out examples: (B, L, H, T, S)."""
    with record(demo.model, "blocks.*.cross_attn.weights") as seen:
        CrossEntropy(demo.model).logits(demo.examples.val.batch(rows))
    return torch.stack(list(seen.values()), dim=1)


def alignment(demo: Demo, rows: np.ndarray) -> Looks | None:
    """Whether a head looks at the token that is about to be copied; None where too few are.

    Copied: letters or digits that stand once in the source and once in the answer.
    """
    legible = _legible(demo)
    shares, chances, chosen = [], [], []
    for start in range(0, len(rows), BATCH):
        part = rows[start : start + BATCH]
        batch = demo.examples.val.batch(part)
        assert batch.source is not None
        same = batch.targets[:, :, None] == batch.source[:, None, :]  # (B, T, S)
        once = (same.sum(1, keepdim=True) == 1) & (same.sum(2, keepdim=True) == 1)
        i, t, place = (same & once & legible[batch.targets.clamp(min=0)][..., None]).nonzero(as_tuple=True)
        looked = cross_weights(demo, part).argmax(-1)  # (B, L, H, T)
        shares.append((looked[i, :, :, t] == place[:, None, None]).float())
        chances.append(1 / (batch.source >= 0).sum(1)[i])
        chosen.append((i + start) % 2 == 0)
    found = torch.cat(chosen)
    if min(int(found.sum()), int((~found).sum())) < MIN_COPIES:
        return None
    return best_head(torch.cat(shares), torch.cat(chances), found)


def asked_cell(question: str, patches: int) -> Tensor | None:
    """The patches of the place that a question about a built-in scene asks for, (patches, patches) of bool.

    patches: on a side of the image. None for all other questions.
    """
    for cells in ENGLISH.places:
        try:
            y, x = cell_of(question, cells)
        except UserError:
            continue
        if patches % cells == 0:
            place = torch.arange(patches) // (patches // cells)  # (patches,)
            return (place == y)[:, None] & (place == x)
    return None


def question(demo: Demo, row: int) -> str:
    """What a held-out example asks."""
    split = demo.examples.val
    return demo.tokenizer.decode(split.text[row][: split.n_prompt[row]])


def resting(demo: Demo, rows: np.ndarray) -> Looks | None:
    """How much attention rests in the asked cell while the answer is about to be written.

    None where too few questions ask for a place.
    """
    split, config = demo.examples.val, demo.model.config
    side = config.image_size // config.patch_size
    cells = {row: asked_cell(question(demo, row), side) for row in rows.tolist()}
    found = [row for row, cell in cells.items() if cell is not None]
    if len(found) < MIN_COPIES:
        return None
    shares, chances = [], []
    for start in range(0, len(found), BATCH):
        part = np.array(found[start : start + BATCH])
        weights = cross_weights(demo, part)  # (B, L, H, T, S)
        now = weights[
            torch.arange(len(part)), :, :, torch.from_numpy(split.n_prompt[part]) - 1
        ]  # (B, L, H, S)
        inside = torch.stack([cell.flatten() for row in part.tolist() if (cell := cells[row]) is not None])
        shares.append((now * inside[:, None, None]).sum(-1))
        chances.append(inside.float().mean(-1))
    return best_head(torch.cat(shares), torch.cat(chances), torch.arange(len(found)) % 2 == 0)


@dataclass(frozen=True)
class Cut:
    """What a model gets right with its memory and with the memory zeroed."""

    n: int
    right: int
    blind: int
    """Whole answers, token by token the likeliest."""
    countable: int
    """What the most frequent answer to each question gets: nobody can do better who sees the question
    alone."""
    n_tokens: int
    right_tokens: int
    blind_tokens: int

    @property
    def gain(self) -> float:
        """The share of tokens that the memory makes right."""
        return (self.right_tokens - self.blind_tokens) / self.n_tokens

    @property
    def limit(self) -> float:
        """4 standard errors of the difference of two shares of n tokens each, were they the same."""
        p = (self.right_tokens + self.blind_tokens) / (2 * self.n_tokens)
        return SIGMAS * math.sqrt(2 * p * (1 - p) / self.n_tokens)


@torch.inference_mode()
def cut(demo: Demo, rows: np.ndarray) -> Cut:
    """Answer held-out examples with the memory and without."""
    split, objective = demo.examples.val, CrossEntropy(demo.model).eval()
    whole, tokens, n_tokens = [0, 0], [0, 0], 0
    for start in range(0, len(rows), BATCH):
        batch = split.batch(rows[start : start + BATCH])
        counts = batch.targets != IGNORE
        n_tokens += int(counts.sum())
        for blank in (False, True):
            right = objective.logits(batch, blank=blank).argmax(-1) == batch.targets
            tokens[blank] += int((right & counts).sum())
            whole[blank] += int((right | ~counts).all(-1).sum())
    answers: defaultdict[bytes, Counter[bytes]] = defaultdict(Counter)
    for row in rows.tolist():
        text, n = split.text[row], split.n_prompt[row]
        answers[text[:n].tobytes()][text[n:].tobytes()] += 1
    countable = sum(max(given.values()) for given in answers.values())
    return Cut(len(rows), whole[0], whole[1], countable, n_tokens, tokens[0], tokens[1])


def _legible(demo: Demo) -> Tensor:
    """(V,): True for tokens of letters or digits only, a space before them aside."""
    tokenizer = demo.tokenizer
    return torch.tensor([tokenizer.decode([id]).strip().isalnum() for id in range(tokenizer.n_vocab)])
