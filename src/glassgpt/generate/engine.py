"""Continuous batching: requests join and leave between steps.

Each step generates one token per active request, or several with a draft. A request's tokens depend only on
the request and its seed. Batch mates, arrival time, prefix reuse and speculation affect latency (and
floating-point rounding), nothing else. The engine handles ids; completion.py handles text.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from random import Random

import torch
from torch import Tensor

from glassgpt.errors import UserError
from glassgpt.generate.decoder import check_prompt, eval_mode, make_decoder
from glassgpt.generate.fast import Precision
from glassgpt.generate.request import Request, Token
from glassgpt.generate.sampling import SamplingParams, probabilities, sample_inverse_cdf
from glassgpt.generate.speculation import PromptLookup
from glassgpt.models import Model
from glassgpt.threads import ThreadTuner

CHUNK = 256
"""Prompt tokens prefilled per step, so that a long prompt does not stall the active requests."""


@dataclass
class ActiveSequence:
    """A request in the engine. Its slot is its index in `Engine._active`.

    In prefill it has the slot after the active ones.
    """

    request_id: int
    request: Request
    ids: list[int]
    """Prompt and generated tokens."""
    rng: Random
    """Uniform numbers in [0, 1): one per token, on any device."""
    pending: list[int] = field(default_factory=list)
    """Prompt tokens still to prefill."""
    n_new: int = 0
    outputs: deque[Token] = field(default_factory=deque)


class Engine:
    """Generate tokens for up to `max_batch` requests at once; more wait in a queue.

    precision: of the weights: `float32`, `bfloat16`, `int8`. draft: proposes the next tokens, so that one
    pass checks several while a single request is active; the tokens stay the same.
    A prompt longer than the context is cut to its last half context, without an error (see `Request`).
    Raises UserError as `check_precision`.

    Counters: `n_prefilled` and `n_reused` prompt tokens, `n_generated` tokens, `n_drafted` and `n_accepted`
    proposals.
    """

    def __init__(
        self,
        model: Model,
        *,
        max_batch: int = 8,
        precision: Precision = "float32",
        draft: PromptLookup | None = None,
    ) -> None:
        if max_batch < 1:
            raise UserError(f"`max_batch` is {max_batch}. It must be at least 1.")
        self.model, self.max_batch, self.draft = model, max_batch, draft
        with eval_mode(model), torch.inference_mode():
            self.decoder = make_decoder(model, max_batch, precision=precision)
        self.threads = ThreadTuner(adapt=model.device.type == "cpu")
        self.n_drafted = self.n_accepted = 0
        self.n_prefilled = self.n_reused = self.n_generated = 0
        self._queue: deque[ActiveSequence] = deque()
        self._prefilling: ActiveSequence | None = None  # in the slot after the active ones
        self._active: list[ActiveSequence] = []
        self._outputs: dict[int, deque[Token]] = {}
        self._n_requests = 0

    @property
    def busy(self) -> bool:
        """True if any request is unfinished."""
        return bool(self._queue or self._prefilling or self._active)

    def add(self, request: Request) -> int:
        """Queue a request and return its id. Raises UserError for a bad prompt or limit."""
        check_prompt(self.model, request.prompt)
        if request.max_new_tokens < 1:
            raise UserError(f"`max_new_tokens` is {request.max_new_tokens}. It must be at least 1.")
        self._n_requests += 1
        sequence = ActiveSequence(self._n_requests, request, list(request.prompt), Random(request.seed))
        self._queue.append(sequence)
        self._outputs[sequence.request_id] = sequence.outputs
        return sequence.request_id

    def cancel(self, request_id: int) -> None:
        """Drop a request and its outputs; ignore an unknown id."""
        self._outputs.pop(request_id, None)
        self._queue = deque(s for s in self._queue if s.request_id != request_id)
        if self._prefilling is not None and self._prefilling.request_id == request_id:
            self._prefilling = None
        for slot, sequence in enumerate(self._active):
            if sequence.request_id == request_id:
                self._finish(slot)
                break

    def stream(self, request: Request) -> Generator[Token]:
        """Yield the tokens of one request; other requests advance at the same time.

        Closing the iterator cancels the request.
        """
        request_id = self.add(request)
        outputs = self._outputs[request_id]
        try:
            while True:
                while not outputs:
                    self.step()
                token = outputs.popleft()
                yield token
                if token.finish_reason:
                    return
        finally:
            self.cancel(request_id)

    def fetch(self, request_id: int) -> list[Token]:
        """Return the new tokens of a request; its last token has a finish reason."""
        outputs = self._outputs.get(request_id, deque())
        tokens = [outputs.popleft() for _ in range(len(outputs))]
        if tokens and tokens[-1].finish_reason:
            self.cancel(request_id)
        return tokens

    def clear_prefix_cache(self) -> None:
        """Empty all idle slots: no new request then reuses their prefixes."""
        for slot in range(len(self._active) + (self._prefilling is not None), self.max_batch):
            self.decoder.truncate(slot, 0)

    @torch.inference_mode()
    def step(self) -> None:
        """Prefill up to `CHUNK` prompt tokens, then decode for every active request."""
        with eval_mode(self.model), self.threads.in_use():
            budget = CHUNK
            while budget and (n := self._prefill(budget)):
                budget -= n
            if self._active:
                self._decode()

    def _prefill(self, most: int) -> int:
        """Prefill up to `most` tokens of a prompt; at its end, generate a token.

        Returns the number of prefilled tokens: 0 if the queue is empty or no slot is free.
        """
        slot = len(self._active)
        if self._prefilling is None:
            if not self._queue or slot >= self.max_batch:
                return 0
            self._prefilling = self._schedule(self._queue.popleft(), slot)
        sequence = self._prefilling
        chunk, sequence.pending = sequence.pending[:most], sequence.pending[most:]
        logits = self.decoder.prefill(slot, chunk)  # (V,)
        self.n_prefilled += len(chunk)
        if not sequence.pending:
            self._prefilling = None
            self._active.append(sequence)
            self._append_token(slot, self._sample([sequence], logits[None])[0])
        return len(chunk)

    def _schedule(self, sequence: ActiveSequence, slot: int) -> ActiveSequence:
        """Assign a slot, and reuse the longest cached prefix of the prompt.

        A prompt longer than the context is cut to its last half context.
        """
        decoder, memory = self.decoder, sequence.request.memory
        ids = sequence.ids if len(sequence.ids) <= decoder.max_len else sequence.ids[-self._half_context :]
        shared = {
            i: _common_prefix(text, ids[:-1])
            for i, text in enumerate(decoder.texts)
            if decoder.memories[i] is memory
        }
        source = max(shared, key=lambda i: (shared[i], i), default=slot)
        n = shared.get(source, 0)
        if n and source > slot:
            decoder.swap(source, slot)
        elif n and source < slot:
            decoder.copy(source, slot, n)
        if n:
            decoder.truncate(slot, n)
        else:
            decoder.set_memory(slot, memory)
        self.n_reused += n
        sequence.pending = ids[n:]
        return sequence

    @property
    def _half_context(self) -> int:
        return max(1, self.decoder.max_len // 2)

    def _decode(self) -> None:
        """Generate the next token of every active request, or several of a single one."""
        for slot, sequence in enumerate(self._active):
            if not self.decoder.room(slot):  # the context is full: prefill its last half again
                self.decoder.truncate(slot, 0)
                if kept := sequence.ids[-self._half_context : -1]:
                    self.decoder.prefill(slot, kept)
        draft = self._propose()
        with self.threads.step(kind=(len(self._active), len(draft))):
            logits = self.decoder.forward(0, [[s.ids[-1], *draft] for s in self._active])  # (B, T, V)
        if draft:
            self._verify(logits[0], draft)
            return
        tokens = self._sample(self._active, logits[:, 0])
        for slot in reversed(range(len(tokens))):  # from the end: a finished one is replaced by the last
            self._append_token(slot, tokens[slot])

    def _propose(self) -> list[int]:
        """Draft the next tokens if a single request is active."""
        if self.draft is None or len(self._active) != 1:
            return []
        sequence = self._active[0]
        most = min(self.decoder.room(0), sequence.request.max_new_tokens - sequence.n_new) - 1
        return self.draft.propose(sequence.ids)[: max(0, most)]

    def _verify(self, logits: Tensor, draft: list[int]) -> None:
        """Append tokens up to the first mismatch with the draft. logits: (T, V).

        Each token is sampled from the model's distribution with the request's own random number, as without
        a draft. The draft only decides if the logits after it are valid.
        """
        sequence, decoder = self._active[0], self.decoder
        n_before = len(decoder.texts[0]) - len(draft)
        for i, expected in enumerate([*draft, None]):
            token = self._sample([sequence], logits[i : i + 1])[0]
            accepted = token.id == expected
            self.n_drafted += expected is not None
            self.n_accepted += accepted
            if not accepted or token.finish_reason:
                decoder.truncate(0, n_before + i)
            self._append_token(0, token)
            if not accepted or token.finish_reason:
                return

    def _sample(self, sequences: Sequence[ActiveSequence], logits: Tensor) -> list[Token]:
        """Sample the next token of each sequence. logits: (R, V)."""
        logits = logits.cpu().to(torch.promote_types(logits.dtype, torch.float32))
        tokens: dict[int, Token] = {}
        for rows in _group_by_params(sequences):
            request = sequences[rows[0]].request
            params = request.params
            past = _padded([sequences[i].ids for i in rows]) if params.repetition_penalty != 1 else None
            some = logits if len(rows) == len(logits) else logits[rows]  # (R', V)
            p = probabilities(some, params, past=past, bias=request.logit_bias)
            if params.temperature == 0:
                ids = p.argmax(-1).tolist()
            else:
                u = torch.tensor([sequences[i].rng.random() for i in rows], dtype=torch.float64)
                ids = sample_inverse_cdf(p, u).tolist()
            for row, i in enumerate(rows):
                tokens[i] = _make_token(sequences[i], ids[row], logits, i, p, row)
        return [tokens[i] for i in range(len(sequences))]

    def _append_token(self, slot: int, token: Token) -> None:
        sequence = self._active[slot]
        sequence.ids.append(token.id)
        sequence.n_new += 1
        self.n_generated += 1
        sequence.outputs.append(token)
        if token.finish_reason:
            self._finish(slot)

    def _finish(self, slot: int) -> None:
        """Remove an active request and move the last one into its slot.

        So slots 0 … n − 1 stay the active ones. The slot keeps its text, so that a later request with the
        same prefix can reuse it.
        """
        last = len(self._active) - 1
        if slot != last:
            self.decoder.swap(slot, last)
            self._active[slot] = self._active[last]
        if self._prefilling is not None:  # in the slot after the last
            self.decoder.swap(last, last + 1)
        self._active.pop()


def _group_by_params(sequences: Sequence[ActiveSequence]) -> list[list[int]]:
    """Group the indices of sequences with equal sampling parameters and logit bias."""
    groups: dict[tuple[SamplingParams, int], list[int]] = {}
    for i, each in enumerate(sequences):
        groups.setdefault((each.request.params, id(each.request.logit_bias)), []).append(i)
    return list(groups.values())


def _make_token(sequence: ActiveSequence, id: int, logits: Tensor, i: int, p: Tensor, row: int) -> Token:
    """Build a token with the requested figures.

    They come from row i of logits (R, V), and `row` of p (R', V).
    """
    request, finish_reason = sequence.request, None
    if id == request.eos_id:
        finish_reason = "stop"
    elif sequence.n_new + 1 >= request.max_new_tokens:
        finish_reason = "length"
    distribution = p[row].clone() if request.distribution else None
    if request.logprobs is None:
        return Token(id, finish_reason, probabilities=distribution)
    logprobs = logits[i].log_softmax(-1)  # (V,)
    best = logprobs.topk(min(request.logprobs, len(logprobs)))
    top = tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True))
    return Token(id, finish_reason, logprobs[id].item(), top, distribution)


def _common_prefix(a: Sequence[int], b: Sequence[int]) -> int:
    """Return the length of the common prefix."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _padded(texts: list[list[int]]) -> Tensor:
    """Stack texts as (R, S), −1 after a text's end."""
    S = max(map(len, texts))
    return torch.tensor([text + [-1] * (S - len(text)) for text in texts])
