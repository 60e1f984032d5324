"""A request in the engine: its text so far, its random numbers, and its tokens to fetch."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

from torch import Tensor

from glassgpt.generate.request import Request, RequestError, Token
from glassgpt.generate.sampling import bias_tensor


@dataclass(eq=False)
class ActiveSequence:
    """A request and what was generated for it. Its slot is its place in `Scheduler.active`.

    It only grows, so `rewind` needs lengths alone to restore an earlier state.
    """

    request_id: int
    request: Request
    n_vocab: int
    seed: int
    ids: list[int] = field(init=False)
    """Prompt and generated tokens."""
    start: int = 0
    """Index of the first visible token. The slot's text is the beginning of `ids[start:]`."""
    rng: Random = field(init=False)
    """Uniform numbers in [0, 1): one per token, on any device."""
    outputs: deque[tuple[int, Token]] = field(default_factory=deque)
    """Tokens to fetch, with their indices in `ids`."""
    finish_reason: str | None = None
    error: RequestError | None = None
    """The reason why it cannot go on."""

    def __post_init__(self) -> None:
        self.ids = list(self.request.prompt)
        self.rng = Random(self.seed)

    @property
    def n_new(self) -> int:
        """Number of generated tokens."""
        return len(self.ids) - len(self.request.prompt)

    @property
    def ended(self) -> bool:
        """True after the last token, or an error."""
        return self.finish_reason is not None or self.error is not None

    @cached_property
    def bias(self) -> Tensor | None:
        """The logit bias as numbers to add, (V,); None for none."""
        bias = self.request.logit_bias
        return bias_tensor(bias, self.n_vocab) if bias else None

    def append(self, token: Token) -> None:
        """Add a generated token."""
        self.outputs.append((len(self.ids), token))
        self.ids.append(token.id)
        self.finish_reason = token.finish_reason

    def take(self) -> Token | None:
        """Return the next token to fetch; None if there is none."""
        return self.outputs.popleft()[1] if self.outputs else None

    def rewind(self, n_ids: int, start: int) -> None:
        """Forget all tokens after the first `n_ids`; the next ones will be the same."""
        del self.ids[n_ids:]
        while self.outputs and self.outputs[-1][0] >= n_ids:
            self.outputs.pop()
        self.start, self.finish_reason = start, None
        self.rng = rng = Random(self.seed)
        for _ in range(self.n_new):
            rng.random()
