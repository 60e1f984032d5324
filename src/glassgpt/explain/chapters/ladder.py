"""Chapter `ladder`: from a bigram table to a GPT, on the same text for the same time.

The chapter trains each rung from random weights. The losses depend on the machine and the seconds; the limit
of the bigram does not.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from glassgpt.config import ModelConfig, OptimConfig
from glassgpt.diagnose import Finding
from glassgpt.explain.content import Chapter, Grid, Translate
from glassgpt.explain.context import ChapterContext, Demo
from glassgpt.models import Bigram, build
from glassgpt.nn import Attention, AttnMask, Block
from glassgpt.train import make_optimizers, set_lr

if TYPE_CHECKING:
    from glassgpt.plots import Plot

TITLE = "The ladder: from a bigram table to a GPT"
T, B = 32, 16
N_MEASURED = 2048
"""Number of held-out tokens to measure every rung on."""
ALIKE = 20
"""Number of steps after which all rungs are compared: the same text for each."""


@dataclass
class Climb:
    """Training of one rung: losses in nats per held-out token."""

    name: str
    n_params: int
    seconds: list[float]
    losses: list[float]
    """Losses at these seconds, the first before any step."""
    alike: float = math.nan
    """Loss after ALIKE steps."""
    steps: int = 0


class Rung(nn.Module):
    """Model with an embedding, positions, one layer and a head."""

    def __init__(self, config: ModelConfig, n_vocab: int, layer: Attention | Block) -> None:
        super().__init__()
        self.wte = nn.Embedding(n_vocab, config.n_embd)
        self.wpe = nn.Embedding(config.block_size, config.n_embd)
        self.layer = layer
        self.lm_head = nn.Linear(config.n_embd, n_vocab, bias=False)
        for table in (self.wte, self.wpe):
            nn.init.normal_(table.weight, std=0.5)
        nn.init.zeros_(self.lm_head.weight)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, V)."""
        places = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.wte(tokens) + self.wpe(places)  # (B, T, C)
        return self.lm_head(self.layer(x, mask=AttnMask.causal(tokens.shape[1])))


def rungs(n_vocab: int) -> dict[str, nn.Module]:
    """Build a bigram, one head, four heads, a block, and a GPT with two blocks."""
    shape = dict(preset="gpt2", size="nano", block_size=T)
    one, four = ModelConfig.model_validate({**shape, "n_head": 1}), ModelConfig.model_validate(shape)
    return {
        "bigram": build(ModelConfig.model_validate(dict(family="bigram")), n_vocab),
        "head": Rung(one, n_vocab, Attention(one)),
        "heads": Rung(four, n_vocab, Attention(four)),
        "block": Rung(four, n_vocab, Block(four)),
        "gpt": build(four, n_vocab),
    }


def climb(name: str, model: nn.Module, train: Tensor, val: Tensor, seconds: float, seed: int) -> Climb:
    """Train a rung for some seconds and measure it five times.

    The learning rate falls to zero. The first ALIKE steps use the full rate, to compare all rungs after them.
    train and val: (n,) token ids. The time of measuring does not count.
    """
    generator = torch.Generator().manual_seed(seed)
    optimizers = make_optimizers(
        model, OptimConfig(lr=0.1 if isinstance(model, Bigram) else 0.02, muon_lr=0.05)
    )
    found = Climb(name, sum(p.numel() for p in model.parameters()), [0.0], [loss_on(model, val)])
    spent, marks = 0.0, [seconds * share for share in (0.1, 0.25, 0.5, 0.75, 1.0)]
    while marks or found.steps < ALIKE:
        start = time.perf_counter()
        set_lr(optimizers, max(0.0, 1 - spent / seconds) if found.steps >= ALIKE else 1.0)
        _step(model, optimizers, _draw_tokens(train, generator))
        spent, found.steps = spent + time.perf_counter() - start, found.steps + 1
        if found.steps == ALIKE:
            found.alike = loss_on(model, val)
        if marks and spent >= marks[0]:
            marks = [mark for mark in marks if mark > spent]
            found.seconds.append(spent)
            found.losses.append(loss_on(model, val))
    return found


def _draw_tokens(train: Tensor, generator: torch.Generator) -> Tensor:
    """Draw random windows of the text: (B, T + 1)."""
    places = torch.randint(len(train) - T, (B, 1), generator=generator) + torch.arange(T + 1)
    return train[places]


def _step(model: nn.Module, optimizers: dict[str, Optimizer], tokens: Tensor) -> None:
    loss = F.cross_entropy(model(tokens[:, :-1]).flatten(0, 1), tokens[:, 1:].flatten())
    for optimizer in optimizers.values():
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers.values():
        optimizer.step()


@contextmanager
def one_thread() -> Iterator[None]:
    """Use one thread: such small models gain nothing from a second one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@torch.no_grad()
def loss_on(model: nn.Module, val: Tensor) -> float:
    """Compute the loss in nats per token on (n,) tokens, in windows of T."""
    rows = (len(val) - 1) // T
    tokens, targets = val[: rows * T].view(rows, T), val[1 : rows * T + 1].view(rows, T)
    return F.cross_entropy(model(tokens).flatten(0, 1), targets.flatten()).item()


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


def make_chapter(context: ChapterContext, _: Translate) -> Chapter:
    """Measure and write the chapter."""
    demo = context.demo("gpt", "bigram", "encoder")
    train, val = texts(demo)
    V = demo.tokenizer.n_vocab
    torch.manual_seed(context.seed)
    names = {
        "bigram": _("bigram table"),
        "head": _("one attention head"),
        "heads": _("four heads"),
        "block": _("a block"),
        "gpt": _("a GPT of two blocks"),
    }
    seconds, seed = context.seconds, context.seed
    with one_thread():
        climbs = [climb(names[key], model, train, val, seconds, seed) for key, model in rungs(V).items()]
    least = pair_entropy(val, V)
    return Chapter(
        "ladder",
        _(TITLE),
        (*_text(_, demo, climbs, least, seconds), _table(_, climbs, seconds)),
        _findings(_, climbs, least, V),
        lambda: _draw(_, climbs, least),
        _,
    )


def _text(_: Translate, demo: Demo, climbs: Sequence[Climb], least: float, seconds: float) -> list[str]:
    return [
        _(
            "Five models learn the same text ({name}), each for {seconds:g} seconds, from random weights. "
            "Each rung adds one part to the previous one."
        ).format(name=demo.name, seconds=seconds),
        _(
            "The bigram is a table: it predicts the next token from the current one alone. On the {n:,} "
            "held-out tokens no such table can cost less than {least:.2f} nats, however long it learns: the "
            "pairs of this text leave this much open. A lower loss needs more context."
        ).format(n=N_MEASURED, least=least),
        _(
            "One head lets each token gather from earlier tokens, with weights that depend on both. Four "
            "heads gather from four places at once, each in a quarter of the width. A block adds the "
            "residual stream, so that a token keeps its information, and an MLP, which processes the "
            "gathered information. A GPT is a stack of blocks, with a norm before the head."
        ),
        _(
            "After the same {alike} steps on the same text, the table has learned least: each row learns "
            "only from its own token, while the other models share what they learn. But more parts take "
            "more time: the GPT made {fewest:,} steps, the table {most:,}. After {seconds:g} seconds {best} "
            "is ahead. With little time the simple rungs lead. With more time (--seconds 10, for each rung) "
            "they stop improving, and the table even gets worse: it memorizes rare pairs."
        ).format(
            alike=ALIKE,
            fewest=climbs[-1].steps,
            most=climbs[0].steps,
            seconds=seconds,
            best=min(climbs, key=lambda climb: climb.losses[-1]).name,
        ),
    ]


def _table(_: Translate, climbs: Sequence[Climb], seconds: float) -> Grid:
    rows = [(c.losses[0], c.alike, c.losses[-1]) for c in climbs]
    columns = (_("before"), _("after {n} steps").format(n=ALIKE), _("after {s:g} seconds").format(s=seconds))
    name = _("{name} ({params:.0f} k weights, {steps:,} steps)")
    names = [name.format(name=c.name, params=c.n_params / 1000, steps=c.steps) for c in climbs]
    return Grid(_("nats per held-out token"), names, columns, rows, decimals=2, shade=False)


def _findings(_: Translate, climbs: Sequence[Climb], least: float, V: int) -> tuple[Finding, ...]:
    """Compare with ln V and the limit of a table, both exact, and the losses after ALIKE steps."""
    bigram, heads, gpt = climbs[0], climbs[2], climbs[-1]
    behind = max(c.alike for c in climbs[1:]) - bigram.alike
    last = Finding.at_most(_("the GPT: below any table of pairs, nats"), gpt.losses[-1], least)
    if last.outcome != "ok":  # no theory says how soon
        advice = _("only {n} steps in that time. Give more with --seconds.").format(n=gpt.steps)
        last = Finding(last.name, last.observed, last.expected, "unclear", advice)
    return (
        Finding.near(_("four heads before any step: ln V, nats"), heads.losses[0], math.log(V), within=1e-3),
        Finding.at_least(_("the bigram: not below what pairs leave open, nats"), bigram.losses[-1], least),
        Finding.at_most(_("other rungs minus the bigram after the same steps, nats"), behind, 0.0),
        last,
    )


def _draw(_: Translate, climbs: Sequence[Climb], least: float) -> Plot:
    from glassgpt.plots import lines

    end = max(c.seconds[-1] for c in climbs)
    return lines(
        {c.name: (c.seconds, c.losses) for c in climbs},
        x_title=_("seconds of training"),
        y_title=_("nats per held-out token"),
        expected={_("least for any table of pairs"): ([0.0, end], [least, least])},
    )
