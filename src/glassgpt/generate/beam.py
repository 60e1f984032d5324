"""Beam search: the likeliest texts a decoder would write, for many sources at once.

No randomness, and no streaming: engine.py has that. A beam wider than 1 looks for what is likely as a
whole, which suits translations and short answers and makes free text dull.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgpt.errors import UserError
from glassgpt.generate.decoder import evaluating
from glassgpt.generate.engine import make_decoder
from glassgpt.models import GPT
from glassgpt.nn import Memory


@dataclass(frozen=True)
class Hypothesis:
    """One text that a decoder might write."""

    ids: list[int]
    """Without prompt and end."""
    score: float
    """What hypotheses are ranked by: `log_p` with the length taken into account."""
    log_p: float
    """Natural logarithm of the probability of all tokens written, the end included."""
    ended: bool = True
    """False where the text was cut off, because there was no more room."""


@torch.inference_mode()
def beam_search(
    model: GPT,
    memory: Memory,
    prompt: Sequence[int],
    *,
    end: int,
    beams: int = 4,
    max_new_tokens: int,
    length_penalty: float = 0.6,
) -> list[list[Hypothesis]]:
    """Up to `beams` hypotheses for each of the B sequences of the memory, best first.

    At each step the `beams` best unfinished texts go on; one that ends among the best `beams`
    candidates is kept, and a sequence leaves the batch once it has `beams` of those. With one beam that
    is greedy decoding. Text is cut after `max_new_tokens`, the end counting as one, or where the
    model's block ends; what was cut ranks below all that ended.

    score = log_p / ((5 + n) / 6)^length_penalty for n tokens, the end included (Wu et al. 2016, eq.
    14). A plain log_p (0 here) prefers the shorter of two texts, their mean (about 1) the longer; 0.6
    is between. Raises UserError for a prompt that is empty or longer than the block, and for NaN from
    the model.
    """
    _check(model, prompt, beams, max_new_tokens)
    n_new = min(max_new_tokens, model.config.block_size - len(prompt) + 1)
    B = len(memory.states)
    found: list[list[Hypothesis]] = [[] for _ in range(B)]
    live = Beams.empty(B, beams)
    with evaluating(model):
        decoder = make_decoder(model, B * beams, max_len=len(prompt) + n_new - 1)
        decoder.look_at(0, memory)
        log_p = _log_p(decoder.forward(0, [list(prompt)] * B))  # (B, V)
        log_p = log_p.repeat_interleave(beams, dim=0)  # (B · beams, V)
        decoder.select([row for row in range(B) for _ in range(beams)])
        for length in range(1, n_new + 1):
            candidates, origin = live.extend(log_p)
            for sentence, ids, value in candidates.ending_with(end):
                score = value / _penalty(length, length_penalty)
                found[sentence].append(Hypothesis(ids[:-1], score, value))
            live, origin = candidates.going_on(origin, end, [len(texts) < beams for texts in found])
            if length == n_new or not len(live.sentence):
                break
            decoder.select(origin.tolist())
            log_p = _log_p(decoder.forward(0, live.ids[:, :, -1:].flatten(0, 1).tolist()))  # (N · beams, V)
    for sentence, ids, value in live.texts():
        score = value / _penalty(n_new, length_penalty)
        found[sentence].append(Hypothesis(ids, score, value, ended=False))
    return [sorted(texts, key=lambda h: (h.ended, h.score), reverse=True)[:beams] for texts in found]


def _penalty(length: int, exponent: float) -> float:
    return ((5 + length) / 6) ** exponent


def _check(model: GPT, prompt: Sequence[int], beams: int, max_new_tokens: int) -> None:
    if not 1 <= len(prompt) <= model.config.block_size:
        raise UserError(
            f"the prompt has {len(prompt):,} tokens, but must have 1 to {model.config.block_size:,}: "
            "the model sees no more at once; shorten it"
        )
    for name, value in (("beams", beams), ("max_new_tokens", max_new_tokens)):
        if value < 1:
            raise UserError(f"{name} is {value}, but must be at least 1")


@dataclass(frozen=True)
class Beams:
    """The K best texts so far of each of N sequences; on the CPU, wherever the model is."""

    sentence: Tensor
    """(N,): which sequence of the memory they are about."""
    ids: Tensor
    """(N, K, T)."""
    log_p: Tensor
    """(N, K), −∞ where there is no text yet."""

    @classmethod
    def empty(cls, B: int, K: int) -> Beams:
        """One text without a token for each of B sequences, and K − 1 empty places."""
        log_p = torch.full((B, K), -math.inf)
        log_p[:, 0] = 0
        return cls(torch.arange(B), torch.empty(B, K, 0, dtype=torch.int64), log_p)

    def extend(self, log_p: Tensor) -> tuple[Beams, Tensor]:
        """The 2K best texts with one more token, best first, and the rows that they come from, (N, 2K).

        log_p: (N · K, V). Each text ends in one way only, so of 2K at least K go on.
        """
        N, K = self.log_p.shape
        reached = log_p.view(N, K, -1) + self.log_p.to(log_p.device)[..., None]  # (N, K, V)
        best, place = (t.cpu() for t in reached.flatten(1).topk(2 * K))  # (N, 2K)
        origin, token = place // log_p.shape[-1], place % log_p.shape[-1]
        row = torch.arange(N)[:, None]
        ids = torch.cat((self.ids[row, origin], token[..., None]), dim=-1)  # (N, 2K, T + 1)
        return Beams(self.sentence, ids, best), row * K + origin

    def ending_with(self, end: int) -> Iterator[tuple[int, list[int], float]]:
        """Those among the best half that end here."""
        ended = self.ids[:, :, -1] == end
        ended[:, ended.shape[1] // 2 :] = False
        return self.texts(ended)

    def going_on(self, origin: Tensor, end: int, unfinished: Sequence[bool]) -> tuple[Beams, Tensor]:
        """The best half of those that do not end, of unfinished sequences, and their rows, (N' · K,)."""
        K = self.log_p.shape[1] // 2
        order = (self.ids[:, :, -1] == end).byte().argsort(dim=1, stable=True)[:, :K]  # (N, K)
        keep = torch.tensor(unfinished)[self.sentence].nonzero()  # (N', 1)
        order = order[keep[:, 0]]
        beams = Beams(self.sentence[keep[:, 0]], self.ids[keep, order], self.log_p[keep, order])
        return beams, origin[keep, order].flatten()

    def texts(self, chosen: Tensor | bool = True) -> Iterator[tuple[int, list[int], float]]:
        """Sequence, ids and log_p of each text, or of those where `chosen`, (N, K), is True."""
        for n, k in ((self.log_p > -math.inf) & chosen).nonzero().tolist():
            yield int(self.sentence[n]), self.ids[n, k].tolist(), float(self.log_p[n, k])


def _log_p(logits: Tensor) -> Tensor:
    """(R, T, V) -> log probabilities of the token after the last, (R, V)."""
    log_p = logits[:, -1].float().log_softmax(-1)
    if log_p[:, 0].isnan().any():  # one NaN makes a whole row NaN
        raise UserError("the model gives NaN: it has diverged; take an earlier checkpoint")
    return log_p
