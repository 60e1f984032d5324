"""Cross-attention of a model, and its answers without memory, for the chapter `cross`."""

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
"""Minimum of positions to measure a head."""
SIGMAS = 4


@dataclass(frozen=True)
class BestHead:
    """Share of attention on the right places by the best head.

    The head is chosen on one half of the examples and measured on the other.
    """

    layer: int
    head: int
    share: float
    chance: float
    """Expected share of a random head."""
    n: int
    """Number of measured positions."""

    @property
    def limit(self) -> float:
        """Chance plus four standard errors of n shares between 0 and 1."""
        return self.chance + SIGMAS * math.sqrt(self.chance * (1 - self.chance) / self.n)


def best_head(shares: Tensor, chances: Tensor, chosen_on: Tensor) -> BestHead:
    """Choose the head with the largest mean share and measure it on the other positions.

    shares: (n, L, H) of each position; chances: (n,); chosen_on: (n,), True for positions to choose on.
    """
    means = shares[chosen_on].mean(0)  # (L, H)
    layer, head = divmod(int(means.argmax()), means.shape[1])
    rest = ~chosen_on
    mean = shares[rest, layer, head].mean().item()
    return BestHead(layer, head, mean, chances[rest].mean().item(), int(rest.sum()))


@torch.inference_mode()
def cross_weights(demo: Demo, rows: np.ndarray) -> Tensor:
    """Return the cross-attention weights of held-out examples: (B, L, H, T, S)."""
    with record(demo.model, "blocks.*.cross_attn.weights") as seen:
        CrossEntropy(demo.model).logits(demo.examples.val.batch(rows))
    return torch.stack(list(seen.values()), dim=1)


def copy_head(demo: Demo, rows: np.ndarray) -> BestHead | None:
    """Measure attention on the source token about to be copied; None with too few copies.

    Copied tokens are letters or digits that occur once in the source and once in the answer.
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
    """Return the patches in the cell of a question about a scene: (patches, patches) of bool.

    patches: number on a side of the image. None for all other questions.
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
    """Return the question of a held-out example."""
    split = demo.examples.val
    return demo.tokenizer.decode(split.text[row][: split.n_prompt[row]])


def cell_head(demo: Demo, rows: np.ndarray) -> BestHead | None:
    """Measure attention in the cell of the question, just before the answer.

    None if too few questions ask for a place.
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
class MemoryAblation:
    """Correct answers and tokens of a model, with its memory and with zeros."""

    n: int
    n_correct: int
    n_correct_zeroed: int
    """Whole answers, by greedy prediction of each token."""
    n_best_guess: int
    """Correct answers by the most frequent answer to each question: the best guess without memory."""
    n_tokens: int
    correct_tokens: int
    correct_tokens_zeroed: int

    @property
    def gain(self) -> float:
        """Share of tokens that are correct only with the memory."""
        return (self.correct_tokens - self.correct_tokens_zeroed) / self.n_tokens

    @property
    def limit(self) -> float:
        """Four standard errors of the difference between two equal shares of n tokens."""
        p = (self.correct_tokens + self.correct_tokens_zeroed) / (2 * self.n_tokens)
        return SIGMAS * math.sqrt(2 * p * (1 - p) / self.n_tokens)


@torch.inference_mode()
def ablate_memory(demo: Demo, rows: np.ndarray) -> MemoryAblation:
    """Predict held-out answers with the memory and with zeros in its place."""
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
    return MemoryAblation(len(rows), whole[0], whole[1], countable, n_tokens, tokens[0], tokens[1])


def _legible(demo: Demo) -> Tensor:
    """Return (V,), True for tokens of letters or digits, with or without spaces around."""
    tokenizer = demo.tokenizer
    return torch.tensor([tokenizer.decode([id]).strip().isalnum() for id in range(tokenizer.n_vocab)])
