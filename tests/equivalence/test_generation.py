"""What the engine writes is what the model says, token by token, with any other sequences in the batch.

Random cases of every family: requests of random lengths and settings come at random times into an engine with
few places, slide past their blocks, leave early. Each must get the tokens that a loop without cache, batch
or packing draws with the same numbers. A draw that falls within 1e-4 of a border may go either way in
float32; how often that happened is printed.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor

from glassgpt.generate import (
    Engine,
    PromptLookup,
    Request,
    SamplingParams,
    generate,
    probabilities,
    sample_inverse_cdf,
)
from glassgpt.generate.decoder import ModelDecoder
from glassgpt.generate.fast import native
from glassgpt.generate.fast.decoder import PackedDecoder
from glassgpt.generate.slots import Decoder
from glassgpt.hooks import edit, record, zero_heads
from glassgpt.models import Model
from helpers.requests import memories_for, random_request, small
from helpers.zoo import DECODERS, V, has_compiler, make, source_for, wake

WRITERS = [*DECODERS, "bigram"]
EDGE = 1e-4


@pytest.fixture(params=["native", "torch"])
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """What the quick decoder computes with."""
    if request.param == "torch":
        monkeypatch.setattr(native, "_library", lambda: "not wanted here")
    elif not has_compiler():
        pytest.skip("no C compiler, or not on Linux")
    return request.param


@dataclass
class Slow:
    """The loop without cache, batch or packing: the whole visible text through the model for each token."""

    model: Model
    request: Request

    def tokens(self) -> tuple[list[int], list[float]]:
        """The ids, and how far each draw was from a border."""
        request, block = self.request, self.model.config.block_size
        numbers = random.Random(request.seed)
        ids, found, margins = list(request.prompt), [], []
        seen = list(ids) if len(ids) <= block else ids[-(block // 2) :]
        while len(found) < request.max_new_tokens and (not found or found[-1] != request.eos_id):
            if len(seen) > block:
                seen = ids[-(block // 2) :]
            logits = self.model(torch.tensor([seen]), memory=request.memory)[:, -1]  # (1, V)
            p = probabilities(logits, request.params, past=ids, bias=request.logit_bias)
            if request.params.temperature == 0:
                best = logits[0].topk(2).values
                margins.append((best[0] - best[1]).item())
                id = int(p.argmax())
            else:
                u = numbers.random()
                margins.append(border(p[0], u))
                id = int(sample_inverse_cdf(p, torch.tensor([u], dtype=torch.float64)))
            found.append(id)
            ids.append(id)
            seen = [*seen, id]
        return found, margins


def border(p: Tensor, u: float) -> float:
    return (p.double().cumsum(-1) - u).abs().min().item()


def run_case(name: str, seed: int) -> tuple[int, int]:
    """Tokens compared, and draws at a border."""
    rng, model = random.Random(seed), small(name, seed)
    with torch.no_grad():
        memories = memories_for(model)
        requests = [random_request(rng, rng.choice(memories)) for _ in range(rng.randint(1, 5))]
        if rng.random() < 0.5:  # some share their beginning
            requests[-1] = replace(requests[-1], prompt=[*requests[0].prompt, rng.randrange(V)])
        draft = PromptLookup(n_draft=3, min_ngram=1) if rng.random() < 0.3 else None
        engine = Engine(model, max_batch=rng.randint(1, 4), draft=draft)
        waiting, request_ids, got = list(enumerate(requests)), {}, {i: [] for i in range(len(requests))}
        while waiting or engine.busy:
            if waiting and rng.random() < 0.4:
                i, request = waiting.pop(0)
                request_ids[i] = engine.add(request)
            engine.step()
            for i, request_id in request_ids.items():
                got[i] += engine.fetch(request_id)
        expected = [Slow(model, request).tokens() for request in requests]
    compared = edges = 0
    for i, (ids, margins) in enumerate(expected):
        mine = [token.id for token in got[i]]
        wrong = next((j for j, pair in enumerate(zip(mine, ids, strict=False)) if pair[0] != pair[1]), None)
        if wrong is not None and margins[wrong] < EDGE:
            edges, compared = edges + 1, compared + wrong
            continue
        assert mine == ids, f"{name}, case {seed}, request {i}: {requests[i]}"
        assert got[i][-1].finish_reason == ("stop" if ids[-1] == requests[i].eos_id else "length")
        compared += len(ids)
    return compared, edges


def run_cases(cases: range) -> tuple[int, int]:
    counts = [run_case(WRITERS[seed % len(WRITERS)], seed) for seed in cases]
    return sum(tokens for tokens, _ in counts), sum(edges for _, edges in counts)


@pytest.mark.usefixtures("kernels")
def test_each_request_gets_the_tokens_of_the_slow_loop() -> None:
    tokens, edges = run_cases(range(5 * len(WRITERS)))
    assert tokens > 1000 and edges <= 1


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_each_request_gets_the_tokens_of_the_slow_loop_2000_times(
    kernels: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tokens, edges = run_cases(range(2000))
    with capsys.disabled():
        print(f"\n2,000 cases, {len(WRITERS)} kinds of models, {kernels}: ", end="")
        print(f"{tokens:,} tokens equal, {edges} at a border")
    assert edges <= 20


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("kind", [ModelDecoder, PackedDecoder])
@pytest.mark.usefixtures("kernels")
def test_slots_are_independent_whatever_is_done_to_them(name: str, kind: type[Decoder]) -> None:
    """Reading in pieces, copying, swapping, selecting, cutting: logits of the whole text each time."""
    if name == "bigram" and kind is PackedDecoder:
        return
    model = wake(make(name)) if name != "bigram" else make(name)
    with torch.no_grad():
        source = source_for(model, 4)
        memory = None if source is None else model.encode(source)
        decoder = kind(model, 4)
        if memory is not None:
            decoder.set_memory(0, memory)
        texts, about = [torch.randint(V, (n,)).tolist() for n in (5, 9, 2, 7)], [0, 1, 2, 3]

        def expect(i: int, logits: Tensor) -> None:
            of = None if memory is None else memory.select(torch.tensor([about[i]]))
            wanted = model(torch.tensor([texts[i]]), memory=of)[0, -len(logits) :]
            torch.testing.assert_close(logits, wanted, atol=1e-5, rtol=0)

        for i, text in enumerate(texts):
            decoder.prefill(i, text[:1])
            expect(i, decoder.prefill(i, text[1:])[None])
        decoder.swap(0, 3)
        texts[0], texts[3], about[0], about[3] = texts[3], texts[0], about[3], about[0]
        decoder.copy(1, 2, 4)
        texts[2], about[2] = texts[1][:4], about[1]
        decoder.truncate(0, 3)
        del texts[0][3:]
        new = torch.randint(V, (3, 4)).tolist()
        logits = decoder.forward(1, new)
        for i in (1, 2, 3):
            texts[i] = texts[i] + new[i - 1]
            expect(i, logits[i - 1])
        decoder.select([2, 0, 0])
        texts[:3], about[:3] = [texts[2], list(texts[0]), list(texts[0])], [about[2], about[0], about[0]]
        logits = decoder.forward(0, [[1], [2], [3]])
        for i in range(3):
            texts[i] = [*texts[i], i + 1]
            expect(i, logits[i])
        assert decoder.texts == texts


def test_a_model_that_is_edited_or_watched_is_asked_itself() -> None:
    model, greedy = small("modern", 0), SamplingParams(temperature=0)

    def write() -> list[int]:
        return list(generate(model, [1, 2], greedy, max_new_tokens=8))

    plain = write()
    with edit(model, {"blocks.*.attn.heads": zero_heads(0, 1)}):
        assert write() != plain
    with record(model, "blocks.1.attn.weights") as seen:
        assert write() == plain
    assert len(seen) and write() == plain
