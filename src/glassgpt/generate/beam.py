"""Beam search: the most likely texts of a decoder, for many sources at once.

No randomness and no streaming: engine.py has both. A beam wider than 1 maximizes the probability of the whole
text; it suits translations and short answers, and makes free text dull.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgpt.errors import UserError
from glassgpt.generate.decoder import eval_mode, make_decoder
from glassgpt.generate.request import check_prompt
from glassgpt.generate.sampling import check_whole
from glassgpt.models import GPT
from glassgpt.nn import Memory


@dataclass(frozen=True)
class Hypothesis:
    """One candidate text."""

    ids: list[int]
    """Without prompt and end token."""
    score: float
    """For ranking: `logprob` with a length penalty."""
    logprob: float
    """Natural logarithm of the probability of all generated tokens, the end token included."""
    ended: bool = True
    """False if the text was cut at the limit."""


@torch.inference_mode()
def beam_search(
    model: GPT,
    memory: Memory,
    prompt: Sequence[int],
    *,
    eos_id: int,
    beams: int = 4,
    max_new_tokens: int,
    length_penalty: float = 0.6,
) -> list[list[Hypothesis]]:
    """Find up to `beams` hypotheses for each sequence of the memory, best first.

    Each step extends the `beams` best unfinished texts. A text that ends among the best `beams` candidates is
    kept; a sequence with `beams` of those leaves the batch. One beam is greedy decoding. Text is cut after
    `max_new_tokens`, the end token included, or at the end of the context; cut texts rank below ended ones.

    score = logprob / ((5 + n) / 6)^length_penalty for n tokens, the end token included (Wu et al. 2016, eq.
    14). A penalty of 0 ranks by logprob and prefers the shorter of two texts; about 1 ranks by its mean and
    prefers the longer; 0.6 is between. Raises UserError for a prompt that is empty or longer than the
    context, and for NaN from the model.
    """
    _check(model, prompt, beams, max_new_tokens)
    n_new = min(max_new_tokens, model.config.block_size - len(prompt) + 1)
    B = len(memory.states)
    found: list[list[Hypothesis]] = [[] for _ in range(B)]
    live = Beams.empty(B, beams)
    with eval_mode(model):
        decoder = make_decoder(model, B * beams, max_len=len(prompt) + n_new - 1)
        decoder.set_memory(0, memory)
        logprobs = _logprobs(decoder.forward(0, [list(prompt)] * B))  # (B, V)
        logprobs = logprobs.repeat_interleave(beams, dim=0)  # (B · beams, V)
        decoder.select([row for row in range(B) for _ in range(beams)])
        for length in range(1, n_new + 1):
            candidates, origin = live.extend(logprobs)
            for sentence, ids, value in candidates.ending_with(eos_id):
                score = value / _penalty(length, length_penalty)
                found[sentence].append(Hypothesis(ids[:-1], score, value))
            live, origin = candidates.unfinished(origin, eos_id, [len(texts) < beams for texts in found])
            if length == n_new or not len(live.sentence):
                break
            decoder.select(origin.tolist())
            last = live.ids[:, :, -1:].flatten(0, 1)  # (N, K, 1) -> (N · K, 1)
            logprobs = _logprobs(decoder.forward(0, last.tolist()))  # (N · K, V)
    for sentence, ids, value in live.texts():
        score = value / _penalty(n_new, length_penalty)
        found[sentence].append(Hypothesis(ids, score, value, ended=False))
    return [sorted(texts, key=lambda h: (h.ended, h.score), reverse=True)[:beams] for texts in found]


def _penalty(length: int, exponent: float) -> float:
    return ((5 + length) / 6) ** exponent


def _check(model: GPT, prompt: Sequence[int], beams: int, max_new_tokens: int) -> None:
    if len(check_prompt(prompt, model.n_vocab)) > model.config.block_size:
        raise UserError(
            "the prompt has {n_prompt:,} tokens, but must have 1 to {block_size:,}, the `block_size` of the "
            "model. Shorten it.",
            n_prompt=len(prompt),
            block_size=model.config.block_size,
        )
    check_whole("beams", beams, least=1)
    check_whole("max_new_tokens", max_new_tokens, least=1)


@dataclass(frozen=True)
class Beams:
    """The K best texts so far of each of N sequences, on the CPU."""

    sentence: Tensor
    """(N,): index of the sequence in the memory."""
    ids: Tensor
    """(N, K, T)."""
    logprob: Tensor
    """(N, K), −∞ for a free place."""

    @classmethod
    def empty(cls, B: int, K: int) -> Beams:
        """Start with one empty text per sequence, and K − 1 free places."""
        logprob = torch.full((B, K), -math.inf)
        logprob[:, 0] = 0
        return cls(torch.arange(B), torch.empty(B, K, 0, dtype=torch.int64), logprob)

    def extend(self, logprobs: Tensor) -> tuple[Beams, Tensor]:
        """Return the 2K best extensions by one token, and their origin rows (N, 2K).

        Best first. logprobs: (N · K, V). Each text ends in one way only, so at least K of 2K continue.
        """
        N, K = self.logprob.shape
        total = logprobs.view(N, K, -1) + self.logprob.to(logprobs.device)[..., None]  # (N, K, V)
        best, index = (t.cpu() for t in total.flatten(1).topk(2 * K))  # (N, K · V) -> (N, 2K) each
        origin, token = index // logprobs.shape[-1], index % logprobs.shape[-1]
        row = torch.arange(N)[:, None]
        ids = torch.cat((self.ids[row, origin], token[..., None]), dim=-1)  # (N, 2K, T + 1)
        return Beams(self.sentence, ids, best), row * K + origin

    def ending_with(self, eos_id: int) -> Iterator[tuple[int, list[int], float]]:
        """Yield the texts of the best half that end with this token."""
        ended = self.ids[:, :, -1] == eos_id  # (N, 2K)
        ended[:, ended.shape[1] // 2 :] = False
        return self.texts(ended)

    def unfinished(self, origin: Tensor, eos_id: int, searching: Sequence[bool]) -> tuple[Beams, Tensor]:
        """Return the K best unfinished texts of each `searching` sequence.

        Also returns their origin rows, (N' · K,).
        """
        K = self.logprob.shape[1] // 2
        order = (self.ids[:, :, -1] == eos_id).byte().argsort(dim=1, stable=True)[:, :K]  # (N, K)
        keep = torch.tensor(searching)[self.sentence].nonzero()  # (N', 1)
        order = order[keep[:, 0]]
        beams = Beams(self.sentence[keep[:, 0]], self.ids[keep, order], self.logprob[keep, order])
        return beams, origin[keep, order].flatten()  # (N', K) -> (N' · K,)

    def texts(self, chosen: Tensor | bool = True) -> Iterator[tuple[int, list[int], float]]:
        """Yield sequence, ids and logprob of each text. chosen: (N, K), a filter."""
        for n, k in ((self.logprob > -math.inf) & chosen).nonzero().tolist():
            yield int(self.sentence[n]), self.ids[n, k].tolist(), float(self.logprob[n, k])


def _logprobs(logits: Tensor) -> Tensor:
    """Compute log probabilities (R, V) at the last of logits (R, T, V)."""
    logprobs = logits[:, -1].float().log_softmax(-1)
    if logprobs[:, 0].isnan().any():  # one NaN makes a whole row NaN
        raise UserError("the model gives NaN: its training diverged. Use an earlier checkpoint.")
    return logprobs
