"""The loop that all that writes stands on: requests come and go between steps, each step is a token of each.

What decides a request's tokens is the request alone, its seed included: who else is in the batch, when it
came, whether its beginning had been read before and whether tokens were guessed ahead changes the time that
it takes, and the sums by a rounding. Text is completing.py's affair, here there are ids.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from random import Random

import torch
from torch import Tensor

from glassgpt.errors import UserError
from glassgpt.generate.decoder import Decoder, ModelDecoder, evaluating
from glassgpt.generate.fast import PackedDecoder, Precision, check_precision
from glassgpt.generate.request import Request, Token
from glassgpt.generate.sampling import SamplingParams, choose, probabilities
from glassgpt.generate.speculation import PromptLookup
from glassgpt.models import GPT, Model

CHUNK = 256
"""Tokens of prompts that are read in a step, so that whoever is being written for need not wait longer."""


@dataclass
class _Writing:
    """A request in the engine. Its slot is its place in `Engine._writing`, or the one after the last."""

    ticket: int
    request: Request
    ids: list[int]
    numbers: Random
    """Uniform in [0, 1): one a token, whatever the device."""
    unread: list[int] = field(default_factory=list)
    n_new: int = 0
    out: deque[Token] = field(default_factory=deque)


class Engine:
    """Writes for up to `max_batch` requests at once; more wait.

    precision: how weights are kept: `float32`, `bfloat16`, `int8`. draft: guesses what comes next, so that
    several tokens can be checked in one pass while a single request is being written for; the tokens are the
    same as without. Raises UserError as `check_precision`.
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
            raise UserError(f"max_batch is {max_batch}, but must be at least 1")
        self.model, self.max_batch, self.draft = model, max_batch, draft
        with evaluating(model), torch.inference_mode():
            self.decoder = make_decoder(model, max_batch, precision=precision)
        self.n_drafted = self.n_accepted = 0
        self.n_read = self.n_reused = self.n_written = 0
        self._waiting: deque[_Writing] = deque()
        self._reading: _Writing | None = None  # in the slot after those that are written for
        self._writing: list[_Writing] = []
        self._outlets: dict[int, deque[Token]] = {}
        self._tickets = 0

    @property
    def busy(self) -> bool:
        """Whether a step would do anything."""
        return bool(self._waiting or self._reading or self._writing)

    def add(self, request: Request) -> int:
        """Queue a request; returns its ticket. Raises UserError where it cannot be fulfilled."""
        check_prompt(self.model, request.prompt)
        if request.max_new_tokens < 1:
            raise UserError(f"max_new_tokens is {request.max_new_tokens}, but must be at least 1")
        self._tickets += 1
        writing = _Writing(self._tickets, request, list(request.prompt), Random(request.seed))
        self._waiting.append(writing)
        self._outlets[self._tickets] = writing.out
        return self._tickets

    def cancel(self, ticket: int) -> None:
        """Stop writing for a request and forget it; a ticket that is not known is ignored."""
        self._outlets.pop(ticket, None)
        self._waiting = deque(w for w in self._waiting if w.ticket != ticket)
        if self._reading is not None and self._reading.ticket == ticket:
            self._reading = None
        for slot, writing in enumerate(self._writing):
            if writing.ticket == ticket:
                self._leave(slot)
                break

    def stream(self, request: Request) -> Generator[Token]:
        """The tokens of one request as they come; others may be streamed in turns with it.

        Closing the iterator cancels the request.
        """
        ticket = self.add(request)
        out = self._outlets[ticket]
        try:
            while True:
                while not out:
                    self.step()
                token = out.popleft()
                yield token
                if token.finish:
                    return
        finally:
            self.cancel(ticket)

    def fetch(self, ticket: int) -> list[Token]:
        """The tokens of a request since they were last fetched; the last one says why it is the last."""
        out = self._outlets.get(ticket, deque())
        tokens = [out.popleft() for _ in range(len(out))]
        if tokens and tokens[-1].finish:
            self.cancel(ticket)
        return tokens

    def forget(self) -> None:
        """Forget what slots have read that nobody is written for, so that no beginning is known."""
        for slot in range(len(self._writing) + (self._reading is not None), self.max_batch):
            self.decoder.truncate(slot, 0)

    @torch.inference_mode()
    def step(self) -> None:
        """Read a piece of the prompts that wait, and write at least one token for each request."""
        with evaluating(self.model):
            left = CHUNK
            while left and (n := self._read(left)):
                left -= n
            if self._writing:
                self._write()

    def _read(self, most: int) -> int:
        """Read on in a prompt; once it has been read, its request gets its first token.

        Returns how many tokens were read: 0 if no prompt waits, or there is no place for it.
        """
        slot = len(self._writing)
        if self._reading is None:
            if not self._waiting or slot >= self.max_batch:
                return 0
            self._reading = self._admit(self._waiting.popleft(), slot)
        reading = self._reading
        piece, reading.unread = reading.unread[:most], reading.unread[most:]
        logits = self.decoder.read(slot, piece)
        self.n_read += len(piece)
        if not reading.unread:
            self._reading = None
            self._writing.append(reading)
            self._take(slot, self._choose([reading], logits[None])[0])
        return len(piece)

    def _admit(self, writing: _Writing, slot: int) -> _Writing:
        """Give a request its slot, which begins with what any slot has read of the same beginning."""
        decoder, memory = self.decoder, writing.request.memory
        ids = writing.ids if len(writing.ids) <= decoder.max_len else writing.ids[-self._half :]
        same = {
            i: _common(text, ids[:-1])
            for i, text in enumerate(decoder.texts)
            if decoder.memories[i] is memory
        }
        source = max(same, key=lambda i: (same[i], i), default=slot)
        n = same.get(source, 0)
        if n and source > slot:
            decoder.swap(source, slot)
        elif n and source < slot:
            decoder.copy(source, slot, n)
        if n:
            decoder.truncate(slot, n)
        else:
            decoder.look_at(slot, memory)
        self.n_reused += n
        writing.unread = ids[n:]
        return writing

    @property
    def _half(self) -> int:
        return max(1, self.decoder.max_len // 2)

    def _write(self) -> None:
        """The next tokens of all requests that are being written for."""
        for slot, writing in enumerate(self._writing):
            if not self.decoder.room(slot):  # its block is full: begin again with the last half
                self.decoder.truncate(slot, 0)
                if kept := writing.ids[-self._half : -1]:
                    self.decoder.read(slot, kept)
        guess = self._guess()
        logits = self.decoder.forward(0, [[w.ids[-1], *guess] for w in self._writing])  # (B, T, V)
        if guess:
            self._check_guess(logits[0], guess)
            return
        tokens = self._choose(self._writing, logits[:, 0])
        for slot in reversed(range(len(tokens))):  # who leaves is replaced by one that has been looked after
            self._take(slot, tokens[slot])

    def _guess(self) -> list[int]:
        """Tokens that may come next, where there is one request to guess for."""
        if self.draft is None or len(self._writing) != 1:
            return []
        writing = self._writing[0]
        most = min(self.decoder.room(0), writing.request.max_new_tokens - writing.n_new) - 1
        return self.draft.guess(writing.ids)[: max(0, most)]

    def _check_guess(self, logits: Tensor, guess: list[int]) -> None:
        """Take tokens as long as they are what was guessed, and the first that is not. logits: (T, V).

        Each is drawn from the model's own distribution with the request's own number, as without a guess: a
        guess decides only whether the logits after it are good for anything.
        """
        writing, decoder = self._writing[0], self.decoder
        read = len(decoder.texts[0]) - len(guess)
        for i, expected in enumerate([*guess, None]):
            token = self._choose([writing], logits[i : i + 1])[0]
            hit = token.id == expected
            self.n_drafted += expected is not None
            self.n_accepted += hit
            if not hit or token.finish:
                decoder.truncate(0, read + i)
            self._take(0, token)
            if not hit or token.finish:
                return

    def _choose(self, writing: Sequence[_Writing], logits: Tensor) -> list[Token]:
        """The next token of each request. logits: (R, V)."""
        logits = logits.cpu().to(torch.promote_types(logits.dtype, torch.float32))
        tokens: dict[int, Token] = {}
        for rows in _alike(writing):
            params = writing[rows[0]].request.params
            past = _padded([writing[i].ids for i in rows]) if params.repetition_penalty != 1 else None
            some = logits if len(rows) == len(logits) else logits[rows]
            p = probabilities(some, params, past=past, bias=writing[rows[0]].request.bias)
            if params.temperature == 0:
                ids = p.argmax(-1).tolist()
            else:
                u = torch.tensor([writing[i].numbers.random() for i in rows], dtype=torch.float64)
                ids = choose(p, u).tolist()
            for row, i in enumerate(rows):
                tokens[i] = _about(writing[i], ids[row], logits, i, p, row)
        return [tokens[i] for i in range(len(writing))]

    def _take(self, slot: int, token: Token) -> None:
        writing = self._writing[slot]
        writing.ids.append(token.id)
        writing.n_new += 1
        self.n_written += 1
        writing.out.append(token)
        if token.finish:
            self._leave(slot)

    def _leave(self, slot: int) -> None:
        """Take a request out; the last one moves up, so that slots 0 … n − 1 are those that are written for.

        What the slot has read stays, for a request that begins with the same.
        """
        last = len(self._writing) - 1
        if slot != last:
            self.decoder.swap(slot, last)
            self._writing[slot] = self._writing[last]
        if self._reading is not None:  # which stands in the slot after the last
            self.decoder.swap(last, last + 1)
        self._writing.pop()


def make_decoder(
    model: Model, max_batch: int, max_len: int | None = None, precision: Precision = "float32"
) -> Decoder:
    """The quick decoder where it computes what the model does; where the model is watched or edited, or is
    another kind of model, the one that calls it. Raises UserError as `check_precision`."""
    check_precision(precision, model.device)
    if isinstance(model, GPT) and PackedDecoder.can_stand_for(model):
        return PackedDecoder(model, max_batch, max_len, precision)
    return ModelDecoder(model, max_batch, max_len)


def check_prompt(model: Model, prompt: Sequence[int]) -> None:
    """Raise UserError for an empty prompt or an id outside the vocabulary."""
    if not prompt:
        raise UserError("the prompt is empty: give at least one token")
    if not 0 <= min(prompt) <= max(prompt) < model.n_vocab:
        raise UserError(f"the prompt has ids outside 0 … {model.n_vocab - 1}: use the run's own tokenizer")


def _alike(writing: Sequence[_Writing]) -> list[list[int]]:
    """Requests whose tokens are chosen in the same way, as groups of their places."""
    groups: dict[tuple[SamplingParams, int], list[int]] = {}
    for i, each in enumerate(writing):
        groups.setdefault((each.request.params, id(each.request.bias)), []).append(i)
    return list(groups.values())


def _about(writing: _Writing, id: int, logits: Tensor, i: int, p: Tensor, row: int) -> Token:
    """A token with what its request wants to know of it: row i of the logits (R, V), a row of p (R', V)."""
    request = writing.request
    finish = "end" if id == request.end else "length" if writing.n_new + 1 >= request.max_new_tokens else None
    distribution = p[row].clone() if request.distribution else None
    if request.logprobs is None:
        return Token(id, finish, probabilities=distribution)
    log_p = logits[i].log_softmax(-1)
    best = log_p.topk(min(request.logprobs, len(log_p)))
    top = tuple(zip(best.indices.tolist(), best.values.tolist(), strict=True))
    return Token(id, finish, log_p[id].item(), top, distribution)


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many first ids are the same."""
    return next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


def _padded(texts: list[list[int]]) -> Tensor:
    """(R, S), −1 after a text's end."""
    S = max(map(len, texts))
    return torch.tensor([text + [-1] * (S - len(text)) for text in texts])
