"""Chapter `loss`: the loss of a uniform guess and of a new table.

−ln p of the target; ln V for a uniform guess over V tokens; about ln V + σ²/2 for logits drawn from N(0, σ²).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from glassgpt.diagnose import Finding, expected_initial_loss, initial_loss_noise
from glassgpt.explain.content import Chapter, Grid, Translate
from glassgpt.explain.context import ChapterContext, Demo
from glassgpt.models import build
from glassgpt.tokenizers import CharTokenizer

if TYPE_CHECKING:
    from glassgpt.plots import Plot

TITLE = "The cost of a guess: cross-entropy before training"

V = 65
"""Characters of tinyshakespeare, as in the notes."""
N_TABLES = 300
N_TARGETS = 32
SIGMAS = 4
"""Tolerance in standard errors; chance exceeds it 1 time in 16,000."""
IN_THE_NOTES = 4.87


def table_losses(n_tables: int, n_targets: int, generator: torch.Generator) -> Tensor:
    """Compute the loss of new V × V tables of N(0, 1) logits on random tokens: (n_tables,)."""
    tables = torch.randn(n_tables, V, V, generator=generator)
    tokens, targets = torch.randint(V, (2, n_tables, n_targets), generator=generator)
    logits = tables[torch.arange(n_tables)[:, None], tokens]  # (n_tables, n_targets, V)
    return F.cross_entropy(logits.mT, targets, reduction="none").mean(1)


@dataclass(frozen=True)
class Initial:
    """Loss with random weights in two terms: `total` = `normalizer` − `target_logit`."""

    n_tokens: int
    n_vocab: int
    variance: float
    """Variance of the logits of one token, by the initialization."""
    normalizer: float
    """The mean of ln Σ exp(z)."""
    target_logit: float
    """The mean logit of the right token."""

    @property
    def total(self) -> float:
        return self.normalizer - self.target_logit


@torch.inference_mode()
def initial_loss(demo: Demo, seed: int, n_tokens: int = 2048) -> Initial:
    """Measure the loss of a run's model with random weights on its validation split."""
    torch.manual_seed(seed)
    fresh = build(demo.model.config, demo.tokenizer.n_vocab).eval()
    ids = torch.from_numpy(demo.tokens.val.ids[: n_tokens + 1].astype("int64"))
    T = min(fresh.config.block_size, len(ids) - 1)
    rows = (len(ids) - 1) // T
    tokens, targets = ids[: rows * T].view(rows, T), ids[1 : rows * T + 1].view(rows, T)
    z = fresh(tokens)  # (rows, T, V)
    right = z.gather(-1, targets[..., None])
    return Initial(
        n_tokens=targets.numel(),
        n_vocab=z.shape[-1],
        variance=fresh.expected_logit_variance(),
        normalizer=z.logsumexp(-1).mean().item(),
        target_logit=right.mean().item(),
    )


def make_chapter(context: ChapterContext, _: Translate) -> Chapter:
    """Measure and write the chapter."""
    losses = table_losses(N_TABLES, N_TARGETS, context.generator())
    uniform = F.cross_entropy(torch.zeros(1, V), torch.tensor([0])).item()
    expected = expected_initial_loss(V, 1.0) - (math.e - 1) / (2 * V)
    noise = initial_loss_noise(N_TARGETS, 1.0)
    demo = context.demo("gpt", "bigram")
    own = initial_loss(demo, context.seed)
    own_expected = expected_initial_loss(own.n_vocab, own.variance)
    own_noise = 0.02 + SIGMAS * initial_loss_noise(own.n_tokens, own.variance)

    body = (
        _(
            "The loss of a prediction is −ln p, where p is the predicted probability of the actual token. A "
            "uniform guess, p = 1/V for each of V tokens, costs ln V: {uniform:.2f} nats for the {V} "
            "characters of tinyshakespeare."
        ).format(V=V, uniform=math.log(V)),
        _(
            "A new bigram table costs more. Its logits are drawn from N(0, 1): it knows nothing, yet it is "
            "confident, at random. The loss is ln Σ exp(z) − z of the target. The second term is 0 on "
            "average. In the first, the mean of exp(z) is exp(σ²/2), so the sum is about ln V + σ²/2 = "
            "{uniform:.2f} + 0.50 = {rough:.2f}. With only {V} terms, the logarithm of the sum is a little "
            "lower: {expected:.2f}."
        ).format(V=V, uniform=math.log(V), rough=math.log(V) + 0.5, expected=expected),
        _(
            "One batch of {n} tokens says little: its standard error is σ/√{n} = {noise:.2f}. The {notes} "
            "of the notes is one such batch, {z:.1f} standard errors above the mean. Just now, {n_tables} "
            "batches were drawn, each from its own table; {above:.0%} of them cost at least that."
        ).format(
            n=N_TARGETS,
            noise=noise,
            notes=IN_THE_NOTES,
            z=(IN_THE_NOTES - expected) / noise,
            n_tables=N_TABLES,
            above=(losses >= IN_THE_NOTES).float().mean().item(),
        ),
        _(
            "Now {name}, with new random weights. Its vocabulary has {V} tokens{parts}, so a uniform guess "
            "costs ln {V} = {uniform:.2f}. Its first logits have the variance {variance:.3g}."
        ).format(
            name=demo.name,
            V=own.n_vocab,
            parts=_parts(demo, _),
            uniform=math.log(own.n_vocab),
            variance=own.variance,
        ),
        *_zero_head(own, _),
        Grid(
            _("the first loss, taken apart"),
            (_("measured"), _("expected")),
            ("ln Σ exp(z)", _("z of the target"), _("loss"), "ln V", "σ²/2"),
            (
                (own.normalizer, own.target_logit, own.total, math.nan, math.nan),
                (own_expected, 0.0, own_expected, math.log(own.n_vocab), own.variance / 2),
            ),
            decimals=3,
            shade=False,
        ),
    )
    findings = (
        Finding.near(_("a uniform guess over 65 tokens, nats"), uniform, math.log(V), 1e-5),
        Finding.near(
            _("mean of 300 new tables, nats"),
            losses.mean().item(),
            expected,
            SIGMAS * noise / math.sqrt(N_TABLES),
        ),
        Finding.near(
            _("noise of a batch of 32 tokens, nats"),
            losses.std().item(),
            noise,
            SIGMAS * noise / math.sqrt(2 * N_TABLES) + 0.01 * noise,
        ),
        Finding.near(
            _("first loss of this model, nats"),
            own.total,
            own_expected,
            own_noise,
            _("check the initialization of the weights, and whether a training step came before"),
        ),
    )

    return Chapter("loss", _(TITLE), body, findings, lambda: _draw(_, losses, expected, noise), _)


def _parts(demo: Demo, _: Translate) -> str:
    """Return the sizes of the parts of a vocabulary of characters."""
    tokenizer = demo.tokenizer
    if not isinstance(tokenizer, CharTokenizer) or not tokenizer.fallback:
        return ""
    parts = _(" ({chars} characters of its text + 256 bytes, which spell all others)")
    return parts.format(chars=len(tokenizer.chars))


def _zero_head(own: Initial, _: Translate) -> list[str]:
    """Return the text about first logits that are all 0, if they are."""
    if own.variance > 0:
        return []
    return [
        _(
            "Why 0? The output head of this model starts as zeros, so every first logit is 0 and the first "
            "guess is exactly uniform. There is no confidence to unlearn: the model saves the σ²/2 that a "
            "random table pays."
        )
    ]


def _draw(_: Translate, losses: Tensor, expected: float, noise: float) -> Plot:
    """Draw the distribution of the loss of new tables, with the expected one."""
    from glassgpt.explain.pictures.loss import draw

    return draw(_, losses, N_TARGETS, uniform=math.log(V), notes=IN_THE_NOTES, expected=expected, noise=noise)
