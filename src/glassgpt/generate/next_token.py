"""The next token as the engine samples it: its logits, its random number, its choice.

The page draws the same token from the same numbers. The engine's own functions compute all of it here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgpt.generate.decoder import make_decoder
from glassgpt.generate.next_tokens import next_tokens
from glassgpt.generate.request import Request, check_request
from glassgpt.generate.sampling import SamplingParams
from glassgpt.generate.sequence import ActiveSequence
from glassgpt.generate.slots import common_prefix
from glassgpt.models import Model
from glassgpt.nn import Memory


@dataclass(frozen=True)
class Draw:
    """One draw."""

    logits: Tensor
    """(V,), float32."""
    u: float
    """The uniform number in [0, 1) of this draw."""
    k: int
    """Its place among the numbers of the seed."""
    token: int
    """The token that the engine draws."""
    greedy: int
    """The most probable token."""
    probability: float
    """Probability of the drawn token, after all filters."""
    n_past: int
    """Number of tokens that the model saw."""


class NextToken:
    """Draws next tokens of one model; keeps its last text, so that one more token is one short pass."""

    def __init__(self, model: Model) -> None:
        self.model = model
        with torch.inference_mode():
            self.decoder = make_decoder(model, 1)

    @torch.inference_mode()
    def draw(
        self, ids: Sequence[int], n_prompt: int, params: SamplingParams, seed: int, memory: Memory | None
    ) -> Draw:
        """Draw the token after `ids`; the first `n_prompt` ids are the prompt.

        Raises UserError as `Engine.add`, and for logits with NaN.
        """
        request = Request(
            list(ids), params, max_new_tokens=1 << 40, seed=seed, memory=memory, distribution=True
        )
        request = check_request(request, self.model)
        logits = self._logits(list(request.prompt), n_prompt, memory)  # (V,)
        prompt = Request(request.prompt[:n_prompt], params, 1 << 40, seed, distribution=True)
        sequence = ActiveSequence(0, prompt, self.model.n_vocab, seed)
        sequence.ids = list(ids)
        sequence.rewind(len(ids), 0)
        u = sequence.rng.random()
        sequence.rewind(len(ids), 0)  # the engine draws the same number
        token = next_tokens([sequence], logits[None])[0]
        assert token.probabilities is not None
        return Draw(
            logits.float().cpu(),
            u,
            len(ids) - n_prompt,
            token.id,
            int(logits.argmax()),
            token.probabilities[token.id].item(),
            len(self.decoder.texts[0]),
        )

    def _logits(self, ids: list[int], n_prompt: int, memory: Memory | None) -> Tensor:
        """Compute the logits (V,) after `ids`, in the passes in which the engine computes them."""
        start, n_first = visible_part(len(ids), n_prompt, self.decoder.max_len)
        text = self.decoder.texts[0]
        same = self.decoder.memories[0] is memory
        n = common_prefix(text, ids[start:-1]) if same else 0
        if n:
            self.decoder.truncate(0, n)
        else:
            self.decoder.set_memory(0, memory)
        first, rest = ids[start + n : n_first], ids[max(start + n, n_first) :]
        logits = self.decoder.prefill(0, first) if first else None  # (V,)
        for id in rest:
            logits = self.decoder.forward(0, [[id]])[0, -1]  # (1, 1, V) -> (V,)
        assert logits is not None
        return logits


def visible_part(n: int, n_prompt: int, max_len: int) -> tuple[int, int]:
    """Return the first visible token of n, and how many of all are read in the first pass.

    The engine cuts a long prompt to its last half context. It reads the rest token by token, and starts from
    half a context when that is full.

    >>> visible_part(5, 3, 8), visible_part(10, 3, 8), visible_part(20, 20, 8)
    ((0, 3), (5, 8), (16, 20))
    """
    half = max(1, max_len // 2)
    start, n_first = (n_prompt - half if n_prompt > max_len else 0), n_prompt
    for length in range(n_prompt + 1, n + 1):
        if length - start > max_len:
            start, n_first = length - half, length - 1
    return start, n_first
