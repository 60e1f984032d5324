"""Chapter `ladder`: from a bigram table to a GPT, on the same text for the same steps.

The chapter trains each rung from random weights, with three seeds. The steps are fixed, so the losses are the
same on every machine, up to rounding.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from glassgpt.config import ModelConfig
from glassgpt.diagnose import Finding
from glassgpt.explain.content import Chapter, Grid, Translate
from glassgpt.explain.context import ChapterContext, Demo
from glassgpt.explain.stacked import StackedOptimizer, stack
from glassgpt.models import Bigram, build
from glassgpt.nn import Attention, AttnMask, Block

if TYPE_CHECKING:
    from glassgpt.plots import Plot

TITLE = "The ladder: from a bigram table to a GPT"
T, B, STEPS, SEEDS = 8, 32, 120, 3
N_HEAD, N_EMBD, WARMUP = 8, 64, 10
MARKS = (0, 15, 30, 60, STEPS)
"""Steps after which a rung is measured."""
N_MEASURED = 2048
"""Number of held-out tokens to measure every rung on."""


@dataclass(frozen=True)
class Climb:
    """Training of one rung: losses in nats per held-out token, one row a seed."""

    name: str
    n_params: int
    losses: Tensor
    """(SEEDS, marks)."""

    @property
    def last(self) -> Tensor:
        """(SEEDS,): the losses after the last step."""
        return self.losses[:, -1]


class Rung(nn.Module):
    """Model with an embedding, positions, layers and a head; a norm stands before the head of two layers."""

    def __init__(self, config: ModelConfig, n_vocab: int, layer: type[Attention | Block], n: int = 1) -> None:
        super().__init__()
        self.wte = nn.Embedding(n_vocab, config.n_embd)
        self.wpe = nn.Embedding(config.block_size, config.n_embd)
        nn.init.normal_(self.wte.weight, std=0.6)
        nn.init.normal_(self.wpe.weight, std=0.05)
        self.layers = nn.ModuleList(layer(config) for _ in range(n))
        for block in self.layers:
            for linear in block.residual_projections() if isinstance(block, Block) else ():
                nn.init.zeros_(linear.weight)  # a block begins as the identity
        self.norm_f = nn.LayerNorm(config.n_embd) if n > 1 else nn.Identity()
        self.lm_head = nn.Linear(config.n_embd, n_vocab, bias=False)
        nn.init.zeros_(self.lm_head.weight)  # each logit begins at 0, the loss at ln V

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, V)."""
        n = tokens.shape[1]
        x = self.wte(tokens) + self.wpe(torch.arange(n).expand_as(tokens))  # (B, T, C)
        for layer in self.layers:
            x = layer(x, mask=AttnMask.causal(n))
        return self.lm_head(self.norm_f(x))


def rungs(n_vocab: int) -> dict[str, Callable[[], nn.Module]]:
    """Return a function that builds each rung: bigram, one head, several heads, a block, a GPT of two."""
    shape = dict(preset="gpt2", size="nano", block_size=T, n_embd=N_EMBD)
    one, eight = (ModelConfig.model_validate({**shape, "n_head": n}) for n in (1, N_HEAD))
    table = ModelConfig.model_validate(dict(family="bigram"))
    return {
        "bigram": lambda: build(table, n_vocab),
        "head": lambda: Rung(one, n_vocab, Attention),
        "heads": lambda: Rung(eight, n_vocab, Attention),
        "block": lambda: Rung(eight, n_vocab, Block),
        "gpt": lambda: Rung(eight, n_vocab, Block, 2),
    }


def climb(models: Sequence[nn.Module], train: Tensor, val: Tensor, seeds: Sequence[int]) -> Tensor:
    """Train the models of a rung for STEPS steps at once. Returns their losses (models, marks) at MARKS.

    The learning rate falls to zero. A model's seed draws its text, so that all rungs read the same.
    train and val: (n,) token ids.
    """
    rate = 0.1 if isinstance(models[0], Bigram) else 0.03
    model = stack(models)
    losses: list[Tensor] = []
    optimizer = StackedOptimizer(model, rate, muon_lr=0.05, weight_decay=0.1)
    places = torch.cat([_draw_places(len(train), seed) for seed in seeds], dim=1)  # (STEPS, S · B, T + 1)
    for step in range(STEPS + 1):
        if step in MARKS:
            losses.append(loss_on(model, val, len(models)))
        if step < STEPS:
            tokens = train[places[step]]
            loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
            (len(models) * loss).backward()  # the sum of the models' mean losses
            optimizer.step(min((step + 1) / WARMUP, 1 - step / STEPS))
    return torch.stack(losses, dim=1)


def climb_all(n_vocab: int, train: Tensor, val: Tensor, seed: int) -> dict[str, tuple[int, Tensor]]:
    """Train every rung with SEEDS seeds: its number of parameters, its losses (SEEDS, marks).

    One thread a rung: such small models gain nothing from a second one. So several learn at once.
    """
    seeds = [SEEDS * seed + i for i in range(SEEDS)]
    models = {name: [_seeded(make, each) for each in seeds] for name, make in rungs(n_vocab).items()}
    with one_thread(), ThreadPoolExecutor(os.cpu_count()) as pool:
        longest_first = {
            name: pool.submit(climb, each, train, val, seeds) for name, each in reversed(models.items())
        }
    return {
        name: (sum(p.numel() for p in each[0].parameters()), longest_first[name].result())
        for name, each in models.items()
    }


def _seeded(make: Callable[[], nn.Module], seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return make()


def _draw_places(n: int, seed: int) -> Tensor:
    """Draw places of windows in a text of n tokens: (STEPS, B, T + 1)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(n - T, (STEPS, B, 1), generator=generator) + torch.arange(T + 1)


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread for each computation."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@torch.no_grad()
def loss_on(model: nn.Module, val: Tensor, n_models: int = 1) -> Tensor:
    """Compute the losses (n_models,) of stacked models in nats per token on (n,) tokens, in windows of T."""
    rows = (len(val) - 1) // T
    tokens, targets = val[: rows * T].view(rows, T), val[1 : rows * T + 1].view(rows, T)
    logits = model(tokens.repeat(n_models, 1)).view(n_models, rows * T, -1)  # (n_models, rows · T, V)
    return F.cross_entropy(logits.mT, targets.flatten().expand(n_models, -1), reduction="none").mean(1)


def pair_entropy(val: Tensor, n_vocab: int) -> float:
    """Compute the conditional entropy of the next token in a text, in nats per token.

    No table of pairs can have a lower loss on this text, since the entropy uses the text's own counts.
    """
    rows = (len(val) - 1) // T * T
    pairs = torch.bincount(val[:rows] * n_vocab + val[1 : rows + 1], minlength=n_vocab**2).double()
    counts = pairs.view(n_vocab, n_vocab)
    return -(
        torch.special.xlogy(counts, counts / counts.sum(1, keepdim=True).clamp(min=1)).sum() / rows
    ).item()


def texts(demo: Demo) -> tuple[Tensor, Tensor]:
    """Return training and held-out tokens as int64."""
    data = demo.tokens
    train = torch.from_numpy(np.asarray(data.train.ids[:1_000_000], np.int64))
    return train, torch.from_numpy(np.asarray(data.val.ids[: N_MEASURED + 1], np.int64))


def gain(upper: Climb, lower: Climb) -> Tensor:
    """Return how much less a rung loses than the one below, for each seed: (SEEDS,)."""
    return lower.last - upper.last


def noise_of(climbs: Sequence[Climb]) -> float:
    """Return the standard error of the mean difference of two rungs, from all seeds and pairs together.

    Both rungs of a pair begin with the same embeddings and read the same text with each seed, so their
    differences vary less than their losses.
    """
    gains = [gain(upper, lower) for lower, upper in pairwise(climbs)]
    spread = torch.stack(gains).var(dim=1).mean()  # nats², of one difference
    return math.sqrt(spread / SEEDS)


def make_chapter(context: ChapterContext, _: Translate) -> Chapter:
    """Measure and write the chapter."""
    demo = context.demo("gpt", "bigram", "encoder")
    train, val = texts(demo)
    V = demo.tokenizer.n_vocab
    names = {
        "bigram": _("bigram table"),
        "head": _("one attention head"),
        "heads": _("eight heads"),
        "block": _("a block"),
        "gpt": _("a GPT of two blocks"),
    }
    found = climb_all(V, train, val, context.seed)
    climbs = [Climb(names[key], *each) for key, each in found.items()]
    least = pair_entropy(val, V)
    return Chapter(
        "ladder",
        _(TITLE),
        (*_text(_, demo, climbs, least), _table(_, climbs)),
        _findings(_, climbs, least, V),
        lambda: _draw(_, climbs),
        _,
    )


def _text(_: Translate, demo: Demo, climbs: Sequence[Climb], least: float) -> list[str]:
    return [
        _(
            "Five models learn the same text ({name}) from random weights, each for {steps} steps of {n} "
            "tokens, three times with different seeds. Each rung adds one part to the previous one. The "
            "same rungs are classes of one file of plain torch, examples/lecture_gpt.py."
        ).format(name=demo.name, steps=STEPS, n=B * T),
        _(
            "`Bigram` is a table: it predicts the next token from the current one alone. On the {n:,} "
            "held-out tokens no such table can cost less than {least:.2f} nats, however long it learns: the "
            "pairs of this text leave this much open. A lower loss needs more context."
        ).format(n=N_MEASURED, least=least),
        _(
            "`Head` adds vectors for token and position, and attention: each token gathers from earlier "
            "tokens, with weights that depend on both. `MultiHead` gathers from {heads} places at once, each "
            "in a part of the width. `Block` adds the residual stream, so that a token keeps its "
            "information, norms, and `FeedForward`, the MLP that processes the gathered information. "
            "`blocks` stacks them and adds a norm before the head: a GPT."
        ).format(heads=N_HEAD),
        _(
            "After the same steps the table has learned least: each row learns only from its own token, "
            "while the other models share what they learn. Is each rung better than the one below, or is it "
            "chance? The mean of three differences has a standard error of {noise:.3f} nats. With more steps "
            "the lower rungs stop improving and the distances grow."
        ).format(noise=noise_of(climbs)),
    ]


def _table(_: Translate, climbs: Sequence[Climb]) -> Grid:
    rows = [
        (c.losses[:, 0].mean().item(), c.last.mean().item(), c.last.std().item(), *c.last.tolist())
        for c in climbs
    ]
    seeds = [_("seed {n}").format(n=i + 1) for i in range(SEEDS)]
    columns = (*(_("step {n}").format(n=n) for n in (0, STEPS)), "±", *seeds)
    names = [_("{name} ({params:,})").format(name=c.name, params=c.n_params) for c in climbs]
    return Grid(_("nats per held-out token (weights)"), names, columns, rows, decimals=3, shade=False)


def _findings(_: Translate, climbs: Sequence[Climb], least: float, V: int) -> tuple[Finding, ...]:
    """Compare with ln V and the limit of a table, both exact, and each rung with the one below."""
    bigram, noise = climbs[0], noise_of(climbs)
    steps = [_better(_, upper, lower, noise) for lower, upper in pairwise(climbs)]
    heads = climbs[2].losses[:, 0].mean().item()
    return (
        Finding.near(_("heads before any step: ln V, nats"), heads, math.log(V), within=1e-3),
        Finding.at_least(
            _("the bigram: not below what pairs leave open, nats"), bigram.last.min().item(), least
        ),
        *steps,
    )


def _better(_: Translate, upper: Climb, lower: Climb, noise: float) -> Finding:
    """Check that a rung is better than the one below by more than the noise; no theory says how soon."""
    observed = gain(upper, lower).mean().item()
    name = _("{upper}: below the previous rung, nats").format(upper=upper.name)
    found = Finding.at_least(name, observed, noise)
    if found.outcome == "ok":
        return found
    advice = _("too close to tell after so few steps")
    return Finding(name, found.observed, found.expected, "unclear", advice)


def _draw(_: Translate, climbs: Sequence[Climb]) -> Plot:
    from glassgpt.explain.pictures.ladder import draw

    losses = {c.name: c.losses[:, 1:] for c in climbs}
    gains = {upper.name: gain(upper, lower).mean().item() for lower, upper in pairwise(climbs)}
    return draw(_, _(TITLE), MARKS[1:], losses, gains, noise_of(climbs))
