"""Many texts at once: each as if alone, the best of several, and what engines count and forget."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import Any

import pytest
import torch

from glassgpt.config import ModelConfig
from glassgpt.errors import UserError
from glassgpt.generate import (
    Engine,
    Request,
    SamplingParams,
    TextAccumulator,
    TextStream,
    Token,
    complete,
    generate,
    measure_speed,
    sample_text,
)
from glassgpt.models import Model, build
from glassgpt.tokenizers import train_tokenizer
from helpers.zoo import make, wake

TOKENIZER = train_tokenizer("byte", [""])
WARM = SamplingParams(temperature=0.9)


@pytest.fixture(scope="module")
def model() -> Model:
    torch.manual_seed(1)
    config = ModelConfig.model_validate(dict(size="nano", n_layer=2, block_size=32))
    return wake(build(config, TOKENIZER.n_vocab))


def test_many_prompts_are_each_what_they_are_alone(model: Model) -> None:
    prompts = ["a", "to be or not", "中文", "a"]
    found = complete(model, TOKENIZER, prompts, WARM, n=3, max_new_tokens=40, seed=5)
    for prompt, completions in zip(prompts, found, strict=True):
        for i, completion in enumerate(completions):
            alone = "".join(sample_text(model, TOKENIZER, prompt, WARM, max_new_tokens=40, seed=5 + i))
            assert completion.text == alone
            assert completion.finish_reason == "length" and len(completion.ids) == 40


def test_a_prompt_is_read_once_for_all_its_samples(model: Model) -> None:
    engine = Engine(model, max_batch=4)
    complete(engine, TOKENIZER, ["a rather long prompt, read once"], n=4, max_new_tokens=2, seed=1)
    assert engine.stats.n_prefilled == 31 + 3 and engine.stats.n_reused == 3 * 30


def test_a_conversation_is_not_read_again(model: Model) -> None:
    engine = Engine(model, max_batch=2)
    prompt = [1, 2, 3, 4, 5]
    said = [token.id for token in engine.stream(Request(prompt, WARM, 6, seed=1))]
    list(engine.stream(Request([*prompt, *said, 7, 8], WARM, 1, seed=1)))
    assert engine.stats.n_prefilled == 5 + 3  # the last token was written, but not read, and two are new
    engine.clear_prefix_cache()
    list(engine.stream(Request(prompt, WARM, 1, seed=1)))
    assert engine.stats.n_prefilled == 8 + 5


def test_one_text_is_no_list_of_its_letters(model: Model) -> None:
    with pytest.raises(UserError, match="list of texts"):
        complete(model, TOKENIZER, "ROMEO:")


def test_the_best_of_several_are_the_likeliest(model: Model) -> None:
    all_five = complete(model, TOKENIZER, ["x"], WARM, n=5, max_new_tokens=10, seed=3)[0]
    best = complete(model, TOKENIZER, ["x"], WARM, n=2, best_of=5, max_new_tokens=10, seed=3)[0]
    by_rank = sorted(all_five, key=lambda c: c.logprob / len(c.ids), reverse=True)
    assert best == by_rank[:2]
    with torch.no_grad():
        ids = torch.tensor([TOKENIZER.encode("x") + best[0].ids])
        logprob = model(ids[:, :-1]).log_softmax(-1).gather(2, ids[:, 1:, None]).sum().item()
    assert best[0].logprob == pytest.approx(logprob, abs=1e-4)


def test_stop_strings_end_a_completion_across_tokens(model: Model) -> None:
    free = complete(model, TOKENIZER, ["q"], WARM, max_new_tokens=60, seed=2)[0][0]
    middle = free.text[10:13]
    stopped = complete(model, TOKENIZER, ["q"], WARM, max_new_tokens=60, seed=2, stop=[middle])[0][0]
    assert stopped.finish_reason == "stop"
    assert stopped.text == free.text[: free.text.index(middle)]


def test_text_of_a_request_token_by_token() -> None:
    """What a server needs: pieces to send on, the reason of the end, nothing after it."""
    text = TextAccumulator(TOKENIZER, ["stop"])
    pieces = [text.add(Token(id, logprob=-0.5)) for id in b"a st"]
    assert "".join(pieces) == "a " and text.finish_reason is None
    assert text.add(Token(ord("x"), "length", -0.5)) == "stx"  # at the end, nothing is held back
    assert text.finish_reason == "length" and text.text == "a stx" and text.logprob == -2.5
    assert text.add(Token(ord("y"))) == "" and text.ids == list(b"a stx")
    ended = TextAccumulator(TOKENIZER)
    assert [ended.add(Token(ord("a"))), ended.add(Token(ord("$"), "stop"))] == ["a", ""]  # the end token
    assert ended.finish_reason == "stop" and ended.text == "a"


def test_an_end_token_ends_a_request(model: Model) -> None:
    engine = Engine(model, max_batch=1)
    free = [token.id for token in engine.stream(Request([1], WARM, 30, seed=1))]
    tokens = list(engine.stream(Request([1], WARM, 30, seed=1, eos_id=free[10])))
    assert [token.id for token in tokens] == free[: free.index(free[10]) + 1]
    assert [token.finish_reason for token in tokens] == [None] * (len(tokens) - 1) + ["stop"]


def test_what_is_asked_for_wrongly(model: Model) -> None:
    wrong: list[dict[str, Any]] = [dict(n=0), dict(n=3, best_of=2)]
    for bad in wrong:
        with pytest.raises(UserError, match="`best_of` is"):
            complete(model, TOKENIZER, ["x"], **bad)
    with pytest.raises(UserError, match="`max_new_tokens` is 0"):
        Engine(model).add(Request([1], max_new_tokens=0))
    with pytest.raises(UserError, match="`max_batch` is 0"):
        Engine(model, max_batch=0)
    with pytest.raises(UserError, match="empty"):
        TextStream(TOKENIZER, [""])


def test_tokens_tell_how_they_came_about(model: Model) -> None:
    request = Request([1, 2], SamplingParams(top_k=3), 4, seed=1, logprobs=2, distribution=True)
    for token in Engine(model).stream(request):
        assert token.probabilities is not None and token.logprob is not None
        assert int((token.probabilities > 0).sum()) == 3
        assert token.probabilities[token.id] > 0
        assert (
            len(token.top_logprobs) == 2
            and token.top_logprobs[0][1] >= token.top_logprobs[1][1]
            and token.logprob <= token.top_logprobs[0][1]
        )


def test_leaving_early_makes_room(model: Model) -> None:
    engine = Engine(model, max_batch=1)
    first = engine.stream(Request([1], WARM, 100, seed=1))
    begun = [next(first).id for _ in range(3)]
    second = engine.add(Request([2], WARM, 3, seed=1))
    assert engine.fetch(second) == []
    first.close()
    while engine.busy:
        engine.step()
    assert [t.id for t in engine.fetch(second)] == list(generate(model, [2], WARM, max_new_tokens=3, seed=1))
    assert begun == list(generate(model, [1], WARM, max_new_tokens=3, seed=1))
    assert engine.fetch(second) == [] and not engine._scheduler.sequences


def test_two_streams_in_turns(model: Model) -> None:
    engine = Engine(model, max_batch=2)
    streams = [engine.stream(Request([i], WARM, 12, seed=i)) for i in (1, 2)]
    found: list[list[int]] = [[], []]
    for _ in range(12):
        for i, stream in enumerate(streams):
            found[i].append(next(stream).id)
    for i in (1, 2):
        assert found[i - 1] == list(generate(model, [i], WARM, max_new_tokens=12, seed=i))


def test_the_model_keeps_its_mode(model: Model) -> None:
    model.train()
    list(generate(model, [1], max_new_tokens=2))
    assert model.training
    model.eval()


def test_speed_is_measured(model: Model) -> None:
    speed = measure_speed(model, [1, 2], n_tokens=8, batch=3, precision="int8", rounds=1)
    assert speed.tokens_per_s > 1 and speed.first_token_s > 0 and speed.bandwidth > 1e6
    assert speed.weight_bytes == sum(
        m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Linear)
    )
    assert speed.share > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_memory_stays_flat_over_10_000_tokens() -> None:
    def resident_mb() -> float:
        gc.collect()
        line = next(r for r in Path("/proc/self/status").read_text().splitlines() if r.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    if not Path("/proc/self/status").exists():
        pytest.skip("memory is read from /proc")
    stream = generate(make("modern", size="mini"), [1], WARM, max_new_tokens=10_600, seed=1)
    for _ in range(600):  # two blocks, so that everything has been needed once
        next(stream)
    before = resident_mb()
    n = sum(1 for _ in stream)
    grown = resident_mb() - before
    print(f"{n:,} tokens: {grown:+.2f} MB")
    assert n == 10_000 and grown <= 1.0
