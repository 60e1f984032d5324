"""Continuous batching: requests join and leave between steps.

Each step generates one token per active request, or several with a draft. A request's tokens depend only on
the request and its seed. Batch mates, arrival time, prefix reuse, speculation and failed steps affect latency
(and floating-point rounding), nothing else. The engine handles ids; completion.py handles text.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import takewhile

import torch
from torch import Tensor

from glassgpt.generate.decoder import eval_mode, make_decoder
from glassgpt.generate.fast import Precision
from glassgpt.generate.next_tokens import next_tokens
from glassgpt.generate.request import Request, RequestError, Token, check_request
from glassgpt.generate.sampling import check_whole
from glassgpt.generate.schedule import Schedule
from glassgpt.generate.sequence import ActiveSequence
from glassgpt.generate.speculation import PromptLookup
from glassgpt.models import Model
from glassgpt.threads import ThreadTuner

CHUNK = 256
"""Prompt tokens prefilled per step, so that a long prompt does not stall the active requests."""
COUNTERS = ("n_prefilled", "n_reused", "n_generated", "n_drafted", "n_accepted")


class Engine:
    """Generate tokens for up to `max_batch` requests at once; more wait in a queue.

    precision: of the weights: `float32`, `bfloat16`, `int8`. draft: proposes the next tokens, so that one
    pass checks several while a single request is active; the tokens stay the same.
    A prompt longer than the context is cut to its last half context, without an error (see `Request`).
    Raises UserError as `check_precision`, and if the KV cache is larger than the RAM.

    A step happens for all requests or for none: after an exception (a hook or a draft that fails, Ctrl-C),
    the next step generates the same tokens. A request that cannot go on, because its logits are NaN, ends
    alone: its `fetch` or `stream` raises RequestError.

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
        max_batch = check_whole("max_batch", max_batch, least=1)
        self.model, self.max_batch, self.draft = model, max_batch, draft
        with eval_mode(model), torch.inference_mode():
            self.decoder = make_decoder(model, max_batch, precision=precision)
        self.threads = ThreadTuner(adapt=model.device.type == "cpu")
        self.n_drafted = self.n_accepted = 0
        self.n_prefilled = self.n_reused = self.n_generated = 0
        self._schedule = Schedule(self.decoder)

    @property
    def busy(self) -> bool:
        """True if any request is unfinished."""
        return self._schedule.is_busy

    def add(self, request: Request) -> int:
        """Queue a request and return its id.

        Raises UserError as `check_request`. Later changes of its prompt or bias have no effect.
        """
        request = check_request(request, self.model)
        with self._change():
            return self._schedule.add(request).request_id

    def cancel(self, request_id: int) -> None:
        """Drop a request and its outputs; ignore an unknown id.

        Also from a hook during a step: then its slot is free after the step.
        """
        if self._schedule.sequences.pop(request_id, None) is not None and not self._schedule.is_changing:
            with self._change():
                pass  # every change begins with freeing the slots of cancelled requests

    def stream(self, request: Request) -> Generator[Token]:
        """Return the tokens of one request; other requests advance at the same time.

        The request joins with the first token. Closing the iterator cancels it. Raises UserError at once as
        `check_request`.
        """
        return self._stream(check_request(request, self.model))

    def _stream(self, request: Request) -> Generator[Token]:
        request_id = self.add(request)
        sequence = self._schedule.sequences[request_id]
        try:
            while request_id in self._schedule.sequences:  # else it was cancelled by its id
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
        if self._schedule.is_broken:
            with self._change():
                pass
        if (sequence := self._schedule.sequences.get(request_id)) is None:
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
        with self._change():
            for slot in self._schedule.idle_slots:
                self.decoder.truncate(slot, 0)

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Let all changes inside happen, or none of them."""
        with eval_mode(self.model), torch.inference_mode(), self._schedule.change():
            yield

    def step(self) -> None:
        """Prefill up to `CHUNK` prompt tokens, then decode for every active request."""
        counts = [getattr(self, name) for name in COUNTERS]
        while True:
            try:
                with self.threads.in_use(), eval_mode(self.model), torch.inference_mode():
                    with self._schedule.change():
                        return self._advance()
            except BaseException as error:
                for name, count in zip(COUNTERS, counts, strict=True):
                    setattr(self, name, count)
                if not isinstance(error, RequestError):
                    raise
                self._schedule.sequences[error.request_id].error = error  # the others go on

    def _advance(self) -> None:
        budget = CHUNK
        while budget and (n := self._prefill(budget)):
            budget -= n
        if self._schedule.active:
            self._decode()

    def _prefill(self, most: int) -> int:
        """Prefill up to `most` tokens of a prompt; at its end, generate a token.

        Returns the number of prefilled tokens: 0 if the queue is empty or no slot is free.
        """
        sequence, n_reused = self._schedule.next_to_prefill()
        if sequence is None:
            return 0
        slot = len(self._schedule.active)
        rest = sequence.ids[sequence.start + len(self.decoder.texts[slot]) :]
        logits = self.decoder.prefill(slot, rest[:most])  # (V,)
        self.n_reused += n_reused
        self.n_prefilled += len(rest[:most])
        if len(rest) <= most:
            slot = self._schedule.activate()
            self._append_token(slot, next_tokens([sequence], logits[None])[0])
        return len(rest[:most])

    def _decode(self) -> None:
        """Generate the next token of every active request, or several of a single one."""
        active = self._schedule.active
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
            sequence.start = len(sequence.ids) - self._schedule.half_context
            self.decoder.truncate(slot, 0)
        missing = sequence.ids[sequence.start + len(self.decoder.texts[slot]) : -1]
        for i in range(0, len(missing), CHUNK):
            self.decoder.prefill(slot, missing[i : i + CHUNK])

    def _propose(self) -> list[int]:
        """Draft the next tokens if a single request is active."""
        if self.draft is None or len(self._schedule.active) != 1:
            return []
        sequence = self._schedule.active[0]
        most = min(self.decoder.room(0), sequence.request.max_new_tokens - sequence.n_new) - 1
        proposed = self.draft.propose(list(sequence.ids))[: max(0, most)]
        return list(takewhile(range(self.model.n_vocab).__contains__, proposed))

    def _verify(self, logits: Tensor, draft: list[int]) -> None:
        """Append tokens up to the first mismatch with the draft. logits: (T, V).

        Each token is sampled from the model's distribution with the request's own random number, as without
        a draft. The draft only decides if the logits after it are valid.
        """
        sequence, decoder = self._schedule.active[0], self.decoder
        n_before = len(decoder.texts[0]) - len(draft)
        for i, expected in enumerate([*draft, None]):
            token = next_tokens([sequence], logits[i : i + 1])[0]
            accepted = token.id == expected
            self.n_drafted += expected is not None
            self.n_accepted += accepted
            if not accepted or token.finish_reason:
                decoder.truncate(0, n_before + i)
            self._append_token(0, token)
            if not accepted or token.finish_reason:
                return

    def _append_token(self, slot: int, token: Token) -> None:
        self._schedule.active[slot].append(token)
        self.n_generated += 1
        if token.finish_reason:
            self._schedule.free(slot)
