"""Whatever happens to an engine, each request that is left gets the tokens that it gets alone.

Random sequences of add, cancel, stream, step, fetch and drafts, in which calls fail: a draft raises, the
decoder raises before or after it has done its work, an interrupt comes at a random line.
"""

from __future__ import annotations

import linecache
import random
import sys
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import FrameType
from typing import Any

import pytest

from glassgpt.generate import Engine, PromptLookup, Request, Token
from glassgpt.generate.fast import native
from glassgpt.models import Model
from glassgpt.nn import Memory
from helpers.requests import memories_for, random_request, small
from helpers.zoo import has_compiler

NAMES = ("modern-gqa", "gpt2", "bigram", "modern-window", "seq2seq-gpt2", "speedrun", "captioner-modern")
INTERRUPTED = ("engine.py", "scheduler.py", "sequence.py", "next_tokens.py")
FAILING = ("forward", "prefill", "swap", "copy", "truncate", "set_memory")


class Failure(Exception):
    """A call that fails on purpose."""


class FailingDraft(PromptLookup):
    """Proposes good tokens, tokens outside of the vocabulary, or an exception."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(n_draft=3, min_ngram=1)
        self.rng = rng
        self.may_fail = False

    def propose(self, ids: Sequence[int]) -> list[int]:
        kind = self.rng.randrange(8)
        if kind == 0 and self.may_fail:
            raise Failure
        return [10**6, -1] if kind == 1 else super().propose(ids)


@contextmanager
def failing_decoder(engine: Engine, rng: random.Random) -> Iterator[None]:
    """Let some calls of the decoder fail, before or after their work."""

    def wrap(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            fails = rng.randrange(30)
            if fails == 0:
                raise Failure
            result = call(*arguments)
            if fails == 1:
                raise KeyboardInterrupt
            return result

        return wrapped

    for name in FAILING:
        setattr(engine.decoder, name, wrap(getattr(engine.decoder, name)))
    try:
        yield
    finally:
        for name in FAILING:
            delattr(engine.decoder, name)


@contextmanager
def interrupt_at(line: int) -> Iterator[None]:
    """Raise KeyboardInterrupt at the n-th line of the engine that runs."""
    left = line

    def trace(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if not frame.f_code.co_filename.endswith(INTERRUPTED):
            return None
        line = linecache.getline(frame.f_code.co_filename, frame.f_lineno)
        if event == "line" and "in_transaction = False" not in line:  # where Python itself handles no signal
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


@cache
def material(name: str) -> tuple[Model, list[Memory | None]]:
    model = small(name, 0)
    return model, memories_for(model)


@cache
def lonely_engine(model: Model) -> Engine:
    return Engine(model, max_batch=1)


def alone(model: Model, request: Request) -> list[int]:
    engine = lonely_engine(model)
    engine.clear_prefix_cache()
    return [token.id for token in engine.stream(request)]


class Fuzz:
    """One engine, the requests in it, and what each has got so far."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.model, self.memories = material(NAMES[seed % len(NAMES)])
        self.draft = FailingDraft(self.rng) if self.rng.random() < 0.5 else None
        self.engine = Engine(self.model, max_batch=self.rng.randint(1, 4), draft=self.draft)
        self.requests: dict[int, Request] = {}
        self.got: dict[int, list[Token]] = {}
        self.streams: list[tuple[Generator[Token], Request, list[int]]] = []

    def run(self) -> int:
        """Do some 25 random things, then finish; return the number of compared tokens."""
        for _ in range(25):
            self.rng.choice((self.add, self.add, self.cancel, self.open, self.read, self.step, self.fetch))()
        while self.engine.busy:
            self.engine.step()
            self.fetch()
        self.fetch()
        compared = 0
        for id, request in self.requests.items():
            assert [token.id for token in self.got[id]] == alone(self.model, request), (id, request)
            assert self.got[id][-1].finish_reason
            compared += len(self.got[id])
        for stream, request, ids in self.streams:
            ids += [token.id for token in stream]
            assert ids == alone(self.model, request), request
            compared += len(ids)
        for id in list(
            self.engine._scheduler.sequences
        ):  # a stream was interrupted as it cancelled its request
            self.engine.cancel(id)
        assert not self.engine.busy and not self.engine._scheduler.active
        return compared

    def fails(self, call: Callable[[], object]) -> bool:
        """Call with or without failures; True if it failed."""
        kind = self.rng.randrange(4)
        if self.draft is not None:
            self.draft.may_fail = kind == 0
        try:
            if kind == 1:
                with failing_decoder(self.engine, self.rng):
                    call()
            elif kind == 2:
                with interrupt_at(self.rng.randint(1, 300)):
                    call()
            else:
                call()
        except (Failure, KeyboardInterrupt):
            return True
        finally:
            if self.draft is not None:
                self.draft.may_fail = False
        return False

    def step(self) -> None:
        self.fails(self.engine.step)

    def add(self) -> None:
        request = random_request(self.rng, self.rng.choice(self.memories))
        if self.requests and self.rng.random() < 0.3:  # a prompt that begins like an earlier one
            earlier = self.rng.choice(list(self.requests.values()))
            request = Request([*earlier.prompt, 3], memory=earlier.memory, seed=1, max_new_tokens=9)
        ids: list[int] = []
        if not self.fails(lambda: ids.append(self.engine.add(request))):
            self.requests[ids[0]], self.got[ids[0]] = request, []

    def cancel(self) -> None:
        if self.requests:
            id = self.rng.choice(list(self.requests))
            del self.requests[id]
            if self.fails(lambda: self.engine.cancel(id)):
                self.engine.cancel(id)

    def open(self) -> None:
        request = random_request(self.rng, self.rng.choice(self.memories))
        self.streams.append((self.engine.stream(request), request, []))

    def read(self) -> None:
        """Read a stream for a while; close it sometimes, or because it has failed."""
        if not self.streams:
            return
        i = self.rng.randrange(len(self.streams))
        stream, _, ids = self.streams[i]

        def some() -> None:
            for _ in range(self.rng.randint(1, 6)):
                if (token := next(stream, None)) is not None:
                    ids.append(token.id)

        closes = self.rng.random() < 0.3
        if self.fails(some) or (closes and (self.fails(stream.close) or True)):
            del self.streams[i]

    def fetch(self) -> None:
        for id in self.requests:
            self.got[id] += self.engine.fetch(id)


def run(cases: range) -> int:
    return sum(Fuzz(seed).run() for seed in cases)


@pytest.mark.parametrize("kernels", ["native", "torch"])
def test_survivors_are_as_they_are_alone(kernels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if kernels == "torch":
        monkeypatch.setattr(native, "_library", lambda: "not wanted here")
    elif not has_compiler():
        pytest.skip("no C compiler, or not on Linux")
    lonely_engine.cache_clear()
    assert run(range(7 * len(NAMES) if kernels == "native" else 2 * len(NAMES))) > 300
    lonely_engine.cache_clear()


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_survivors_are_as_they_are_alone_3000_times(capsys: pytest.CaptureFixture[str]) -> None:
    tokens = run(range(3000))
    with capsys.disabled():
        print(f"\n3,000 sequences: {tokens:,} tokens of survivors equal to those alone")
