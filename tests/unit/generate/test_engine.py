"""The streaming loop: the cache changes nothing, a long text slides, half characters never come out."""

from __future__ import annotations

import pytest
import torch

from glassgpt.config import ModelConfig
from glassgpt.errors import UserError
from glassgpt.generate import Engine, Request, SamplingParams, generate, stream_text
from glassgpt.generate.engine import CHUNK
from glassgpt.models import Model, build
from glassgpt.tokenizers import train_tokenizer

V = 31
GREEDY = SamplingParams(temperature=0)


def model(**fields: object) -> Model:
    config = dict(preset="modern", n_layer=2, n_head=2, n_embd=16, block_size=16) | fields
    m = build(ModelConfig.model_validate(config), V).eval()
    with torch.no_grad():
        for p in m.parameters():
            if p.ndim == 2:
                p.normal_(std=0.4)
    return m


@pytest.mark.parametrize("fields", [{}, {"preset": "gpt2"}, {"family": "bigram"}, {"n_kv_head": 1}])
def test_greedy_equals_the_slow_way(fields: dict) -> None:
    m, ids = model(**fields), [3, 1, 4]
    expected = list(ids)
    with torch.no_grad():
        for _ in range(13):
            expected.append(int(m(torch.tensor([expected]))[0, -1].argmax()))
    assert list(generate(m, ids, GREEDY, max_new_tokens=13)) == expected[3:]


def test_a_text_longer_than_the_block_sees_between_half_and_all_of_it() -> None:
    """Past the block, each token must follow from the last n tokens for some n of 8 … 16."""
    m, ids = model(), [5]
    out = ids + list(generate(m, ids, GREEDY, max_new_tokens=60))
    with torch.no_grad():
        for t in range(17, 61):
            views = {int(m(torch.tensor([out[t - n : t]]))[0, -1].argmax()) for n in range(8, 17)}
            assert out[t] in views


def test_long_prompts_and_seeds() -> None:
    m = model()
    prompt = torch.randint(V, (50,)).tolist()
    a = list(generate(m, prompt, max_new_tokens=20, seed=1))
    assert a == list(generate(m, prompt, max_new_tokens=20, seed=1))
    assert a != list(generate(m, prompt, max_new_tokens=20, seed=2))


def test_a_step_reads_so_many_tokens_and_no_more() -> None:
    """Several short prompts get their first token in one step; a long one keeps nobody waiting."""
    engine = Engine(model(block_size=1024), max_batch=4)
    short = [engine.add(Request([1, 2, 3], GREEDY, 50)) for _ in range(3)]
    engine.step()
    assert [len(engine.fetch(request_id)) for request_id in short] == [2, 2, 2]  # one as read, one as written
    long = engine.add(Request([4] * (2 * CHUNK + 1), GREEDY, 5))
    for n in (0, 0, 2):
        read = engine.stats.n_prefilled
        engine.step()
        assert engine.stats.n_prefilled - read <= CHUNK
        assert [len(engine.fetch(request_id)) for request_id in short] == [1, 1, 1]
        assert len(engine.fetch(long)) == n


def test_bad_prompts() -> None:
    with pytest.raises(UserError, match="empty"):
        next(generate(model(), []))
    with pytest.raises(UserError, match="outside"):
        next(generate(model(), [V]))


def test_streaming_never_splits_a_character() -> None:
    tokenizer = train_tokenizer("byte", [""])
    text = "naïve 中文 🙂!"
    pieces = list(stream_text(tokenizer, tokenizer.encode(text)))
    assert "".join(pieces) == text
    assert all("\ufffd" not in piece for piece in pieces)
    assert "".join(stream_text(tokenizer, tokenizer.encode(text)[:-2])).endswith("\ufffd")


@pytest.mark.parametrize(
    ("stop", "expected"), [(["wor"], "hello "), (["lo", "el"], "h"), (["x"], "hello world")]
)
def test_stop_strings_end_the_text_before_them(stop: list[str], expected: str) -> None:
    tokenizer = train_tokenizer("byte", [""])
    assert "".join(stream_text(tokenizer, tokenizer.encode("hello world"), stop)) == expected


def test_a_cache_larger_than_the_ram_is_refused_before_it_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    m = model(block_size=4096)
    cache, weights = m.new_cache(3), sum(p.nbytes for p in m.parameters())
    assert cache is not None
    size = cache.keys.nbytes + cache.values.nbytes + cache.tokens.nbytes
    assert m.cache_bytes(3) == size and model(family="bigram").cache_bytes(3) == 0
    monkeypatch.setattr("glassgpt.generate.decoder.memory_of", lambda device: size + weights)
    Engine(m, max_batch=3)
    with pytest.raises(UserError, match=r"generating 4 texts at once needs .* 4,096 tokens each.* `best_of`"):
        Engine(m, max_batch=4)


@pytest.mark.parametrize("message", ["DefaultCPUAllocator: can't allocate memory", "Tried to allocate 9 GiB"])
def test_ram_that_is_not_free(message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def new_cache(*_: object) -> None:
        raise RuntimeError(message)

    m = model()
    monkeypatch.setattr(type(m), "new_cache", new_cache)
    with pytest.raises(UserError, match="generating 8 texts at once needs"):
        Engine(m)


@pytest.mark.parametrize("most", [1, 40, 333])
def test_a_long_prefill_takes_several_passes(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """So the scores of attention, rows times tokens times heads, never fill the RAM."""
    m = model(block_size=64)
    prompt, params = torch.randint(V, (50,)).tolist(), SamplingParams(temperature=0.5)
    wanted = list(generate(m, prompt, params, max_new_tokens=100, seed=1))
    monkeypatch.setattr("glassgpt.generate.fast.decoder.MAX_SCORES", most)
    assert list(generate(m, prompt, params, max_new_tokens=100, seed=1)) == wanted
