"""Continuous batching: requests join and leave between steps.

Each step generates one token per active request, or several with a draft. A request's tokens depend only on
the request and its seed. Batch mates, arrival time, prefix reuse, speculation and failed steps affect latency
(and floating-point rounding), nothing else. The engine handles ids; completion.py handles text.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile

import torch
from torch import Tensor

from glassgpt.generate.decoder import eval_mode, make_decoder
from glassgpt.generate.fast import Precision
from glassgpt.generate.next_tokens import next_tokens
from glassgpt.generate.request import Request, RequestError, Token, check_request
from glassgpt.generate.sampling import check_whole
from glassgpt.generate.scheduler import Scheduler
from glassgpt.generate.sequence import ActiveSequence
from glassgpt.generate.speculation import PromptLookup
from glassgpt.models import Model
from glassgpt.threads import ThreadTuner

CHUNK = 256
"""Prompt tokens prefilled per step, so that a long prompt does not stall the active requests."""


@dataclass
class EngineStats:
    """Counts of tokens since the start of an engine."""

    n_prefilled: int = 0
    """Prompt tokens that went through the model."""
    n_reused: int = 0
    """Prompt tokens of a cached prefix."""
    n_generated: int = 0
    n_drafted: int = 0
    """Tokens that a draft proposed."""
    n_accepted: int = 0
    """Proposed tokens that the model generated, too."""

    def copy(self) -> EngineStats:
        """Return a copy, as each step makes one: quicker than `dataclasses.replace`."""
        return EngineStats(**vars(self))


class Engine:
    """Generate tokens for up to `max_batch` requests at once; more wait in a queue.

    precision: of the weights: `float32`, `bfloat16`, `int8`. draft: proposes the next tokens, so that one
    pass checks several while a single request is active; the tokens stay the same.
    A prompt longer than the context is cut to its last half context, without an error (see `Request`).
    Raises UserError as `check_precision`, and if the KV cache is larger than the RAM.

    A step happens for all requests or for none: after an exception (a hook or a draft that fails, Ctrl-C),
    the next step generates the same tokens. A request that cannot go on, because its logits are NaN, ends
    alone: its `fetch` or `stream` raises RequestError.

    `stats` counts the tokens of all complete steps.
    """

    def __init__(
        self,
        model: Model,
        *,
        max_batch: int = 8,
        precision: Precision = "float32",
        draft: PromptLookup | None = None,
    ) -> None:
        max_batch = check_whole("max_batch", max_batch, least=1)
        self.model, self.max_batch, self.draft = model, max_batch, draft
        with eval_mode(model), torch.inference_mode():
            self.decoder = make_decoder(model, max_batch, precision=precision)
        self.threads = ThreadTuner(adapt=model.device.type == "cpu")
        self.stats = EngineStats()
        self._scheduler = Scheduler(self.decoder)

    @property
    def busy(self) -> bool:
        """True if any request is unfinished."""
        return self._scheduler.is_busy

    def add(self, request: Request) -> int:
        """Queue a request and return its id.

        Raises UserError as `check_request`. Later changes of its prompt or bias have no effect.
        """
        request = check_request(request, self.model)
        with self._transaction():
            return self._scheduler.add(request).request_id

    def cancel(self, request_id: int) -> None:
        """Drop a request and its outputs; ignore an unknown id.

        Also from a hook during a step: then its slot is free after the step.
        """
        if self._scheduler.sequences.pop(request_id, None) is not None:
            if not self._scheduler.in_transaction:
                self._free_ended_slots()

    def stream(self, request: Request) -> Generator[Token]:
        """Return the tokens of one request; other requests advance at the same time.

        The request joins with the first token. Closing the iterator cancels it. Raises UserError at once as
        `check_request`.
        """
        return self._stream(check_request(request, self.model))

    def _stream(self, request: Request) -> Generator[Token]:
        request_id = self.add(request)
        sequence = self._scheduler.sequences[request_id]
        try:
            while request_id in self._scheduler.sequences:  # else it was cancelled by its id
                if (token := sequence.take()) is not None:
                    yield token
                    if token.finish_reason:
                        return
                elif sequence.error is not None:
                    raise sequence.error
                else:
                    self.step()
        finally:
            self.cancel(request_id)

    def fetch(self, request_id: int) -> list[Token]:
        """Return the new tokens of a request; its last token has a finish reason.

        Raises RequestError, after the last token, for a request that cannot go on.
        """
        if self._scheduler.needs_rollback:
            self._free_ended_slots()
        if (sequence := self._scheduler.sequences.get(request_id)) is None:
            return []
        tokens = list(iter(sequence.take, None))
        error = None if tokens else sequence.error
        if error is not None or sequence.finish_reason is not None:
            self.cancel(request_id)
        if error is not None:
            raise error
        return tokens

    def clear_prefix_cache(self) -> None:
        """Empty all idle slots: no new request then reuses their prefixes."""
        with self._transaction():
            for slot in self._scheduler.idle_slots:
                self.decoder.truncate(slot, 0)

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Let all changes inside happen, or none of them."""
        with eval_mode(self.model), torch.inference_mode(), self._scheduler.transaction():
            yield

    def _free_ended_slots(self) -> None:
        """Free the slots of cancelled requests; complete an interrupted rollback first."""
        with self._transaction():
            pass  # the start of every transaction does both

    def step(self) -> None:
        """Prefill up to `CHUNK` prompt tokens, then decode for every active request."""
        before = self.stats.copy()
        while True:
            try:
                with self.threads.in_use(), eval_mode(self.model), torch.inference_mode():
                    with self._scheduler.transaction():
                        return self._advance()
            except BaseException as error:
                self.stats = before.copy()
                if not isinstance(error, RequestError):
                    raise
                self._scheduler.sequences[error.request_id].error = error  # the others go on

    def _advance(self) -> None:
        budget = CHUNK
        while budget and (n := self._prefill(budget)):
            budget -= n
        if self._scheduler.active:
            self._decode()

    def _prefill(self, max_tokens: int) -> int:
        """Prefill up to `max_tokens` tokens of a prompt; at its end, generate a token.

        Returns the number of prefilled tokens: 0 if the queue is empty or no slot is free.
        """
        sequence, n_reused = self._scheduler.next_to_prefill()
        if sequence is None:
            return 0
        slot = len(self._scheduler.active)
        rest = sequence.ids[sequence.start + len(self.decoder.texts[slot]) :]
        chunk = rest[:max_tokens]
        logits = self.decoder.prefill(slot, chunk)  # (V,)
        self.stats.n_reused += n_reused
        self.stats.n_prefilled += len(chunk)
        if len(chunk) == len(rest):
            slot = self._scheduler.activate()
            self._append_token(slot, next_tokens([sequence], logits[None])[0])
        return len(chunk)

    def _decode(self) -> None:
        """Generate the next token of every active request, or several of a single one."""
        active = self._scheduler.active
        for slot, sequence in enumerate(active):
            self._restore_context(slot, sequence)
        draft = self._propose()
        with self.threads.step(kind=(len(active), len(draft))):
            logits = self.decoder.forward(0, [[s.ids[-1], *draft] for s in active])  # (B, T, V)
        if draft:
            self._verify(logits[0], draft)
            return
        tokens = next_tokens(active, logits[:, 0])
        for slot in reversed(range(len(tokens))):  # from the end: a finished one is replaced by the last
            self._append_token(slot, tokens[slot])

    def _restore_context(self, slot: int, sequence: ActiveSequence) -> None:
        """Prefill what is missing of the visible text, all but its last token.

        Nothing is, unless the context is full (it slides: its last half is prefilled again) or a failed step
        emptied the slot.
        """
        if len(sequence.ids) - sequence.start > self.decoder.max_len:
            sequence.start = len(sequence.ids) - self._scheduler.half_context
            self.decoder.truncate(slot, 0)
        missing = sequence.ids[sequence.start + len(self.decoder.texts[slot]) : -1]
        for i in range(0, len(missing), CHUNK):
            self.decoder.prefill(slot, missing[i : i + CHUNK])

    def _propose(self) -> list[int]:
        """Draft the next tokens if a single request is active."""
        if self.draft is None or len(self._scheduler.active) != 1:
            return []
        sequence = self._scheduler.active[0]
        most = min(self.decoder.room(0), sequence.request.max_new_tokens - sequence.n_new) - 1
        proposed = self.draft.propose(list(sequence.ids))[: max(0, most)]
        return list(takewhile(range(self.model.n_vocab).__contains__, proposed))

    def _verify(self, logits: Tensor, draft: list[int]) -> None:
        """Append tokens up to the first mismatch with the draft. logits: (T, V).

        Each token is sampled from the model's distribution with the request's own random number, as without
        a draft. The draft only decides if the logits after it are valid.
        """
        sequence, decoder = self._scheduler.active[0], self.decoder
        n_before = len(decoder.texts[0]) - len(draft)
        for i, expected in enumerate([*draft, None]):
            token = next_tokens([sequence], logits[i : i + 1])[0]
            accepted = token.id == expected
            self.stats.n_drafted += expected is not None
            self.stats.n_accepted += accepted
            if not accepted or token.finish_reason:
                decoder.truncate(0, n_before + i)
            self._append_token(0, token)
            if not accepted or token.finish_reason:
                return

    def _append_token(self, slot: int, token: Token) -> None:
        self._scheduler.active[slot].append(token)
        self.stats.n_generated += 1
        if token.finish_reason:
            self._scheduler.free(slot)
