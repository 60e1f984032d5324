"""blocks.c computes what the model computes, row for row; without it, torch does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from glassgpt.generate import Precision
from glassgpt.generate.fast import native
from glassgpt.generate.fast.decoder import PackedDecoder
from glassgpt.generate.fast.native_blocks import NativeBlocks
from glassgpt.generate.fast.weights import PackedMatrix
from glassgpt.models import GPT
from glassgpt.nn import PAD, Memory
from helpers.zoo import PACKED, V, has_compiler, make, source_for, wake

needs_library = pytest.mark.skipif(not has_compiler(), reason="no C compiler, or not on Linux")
SHAPES = {
    "narrow heads": dict(n_embd=24, n_head=4, position="none"),  # 6 numbers: fewer than a register's
    "odd heads": dict(n_embd=210, n_head=3),  # 70: a multiple of nothing
    "wide heads": dict(n_embd=256, n_head=2),
    "heads wider than the stream": dict(n_embd=64, n_head=4, head_size=48, norm_eps=1e-3),
    "heads narrower than the stream": dict(n_embd=64, n_head=3, head_size=8),
    "exact gelu": dict(preset="gpt2", mlp="gelu_erf", n_hidden=300),
    "layer norm without bias": dict(preset="gpt2", bias=False),
}


@pytest.fixture
def threads(request: pytest.FixtureRequest) -> int:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    request.addfinalizer(lambda: torch.set_num_threads(before))
    return request.param


def a_model(name: str) -> GPT:
    model = wake(make("modern", **SHAPES[name]) if name in SHAPES else make(name))
    assert isinstance(model, GPT)
    return model


def quick(model: GPT, precision: Precision = "float32") -> PackedDecoder:
    decoder = PackedDecoder(model, 4, precision=precision)
    assert isinstance(decoder.blocks, NativeBlocks)
    return decoder


def logits(model: GPT, text: list[int], memory: Memory | None = None) -> Tensor:
    with torch.no_grad():
        return model(torch.tensor([text]), memory=memory)[0]


def some_memories(model: GPT) -> list[Memory | None]:
    """For three slots: one of a padded batch, another shorter one, the first again."""
    if (source := source_for(model, 2)) is None:
        return [None] * 3
    padded = source.clone()
    if padded.ndim == 2:
        padded[0, -3:] = PAD
    batch, other = model.encode(padded), model.encode(source[1:, :5] if source.ndim == 2 else source[1:])
    assert batch is not None
    return [batch.select(torch.tensor([0])), other, batch.select(torch.tensor([0]))]


@needs_library
def test_a_compiler_is_enough() -> None:
    assert native.load() is not None, native.why_not_native()


@needs_library
@pytest.mark.parametrize("threads", [1, 2, 5], indirect=True)
@pytest.mark.parametrize("name", [*PACKED, *SHAPES])
def test_it_computes_what_the_model_computes(name: str, threads: int) -> None:
    """Prompts of different lengths, then a token of each, then several; what they look at differs, too."""
    model = a_model(name)
    decoder = quick(model)
    texts = [torch.randint(V, (n,)).tolist() for n in (37, 1, 8)]
    with torch.inference_mode():
        for i, memory in enumerate(memories := some_memories(model)):
            decoder.set_memory(i, memory)
        for slot, text in enumerate(texts):
            torch.testing.assert_close(
                decoder.prefill(slot, text), logits(model, text, memories[slot])[-1], atol=2e-5, rtol=0
            )
        for T in (1, 3):
            new = torch.randint(V, (3, T)).tolist()
            got = decoder.forward(0, new)
            for i, ids in enumerate(new):
                texts[i] += ids
                wanted = logits(model, texts[i], memories[i])[-T:]
                torch.testing.assert_close(got[i], wanted, atol=2e-5, rtol=0)


@needs_library
@pytest.mark.parametrize("threads", [1, 3], indirect=True)
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("name", ["gpt2", "modern-gqa", "modern-window"])
def test_alone_and_in_a_batch_are_equal_to_the_last_bit(
    name: str, precision: Precision, threads: int
) -> None:
    model = a_model(name)
    together, alone = quick(model, precision), quick(model, precision)
    texts = [torch.randint(V, (n,)).tolist() for n in (3, 11, 6, 9)]
    with torch.inference_mode():
        for slot, text in enumerate(texts):
            together.prefill(slot, text)
        got = together.forward(0, [[1], [2], [3], [4]])
        torch.set_num_threads(4 - threads)  # nor do threads matter
        for i, text in enumerate(texts):
            alone.truncate(0, 0)
            for id in text:  # and token by token as at once
                alone.prefill(0, [id])
            assert torch.equal(alone.forward(0, [[i + 1]])[0], got[i])


@needs_library
@pytest.mark.parametrize("precision", ["float32", "bfloat16", "int8"])
@pytest.mark.parametrize("R", [1, 2, 3, 5, 7, 8, 15, 16, 33])
def test_products_of_any_number_of_rows(R: int, precision: Precision) -> None:
    for N, C in ((65, 96), (48, 7), (1, 5), (193, 33), (400, 64)):
        weight, bias, x = torch.randn(N, C), torch.randn(N), torch.randn(R, C)
        for b in (None, bias):
            matrix = PackedMatrix(weight, b, precision)
            wanted = x @ matrix.dense().T + (0 if b is None else b)
            torch.testing.assert_close(matrix(x), wanted, atol=1e-4, rtol=0)


@needs_library
def test_a_decoder_outlives_what_the_model_does_with_its_weights() -> None:
    model, text = a_model("gpt2"), [1, 2, 3]
    decoder, wanted = quick(model), logits(model, text)[-1]
    model.to(torch.float64)  # lets go of the float32 weights
    junk = [torch.full_like(p, 7, dtype=torch.float32) for p in model.parameters()]
    with torch.inference_mode():
        torch.testing.assert_close(decoder.prefill(0, text), wanted, atol=2e-5, rtol=0)
    assert junk


def test_other_models_are_left_to_torch() -> None:
    model = make("modern").double()
    assert isinstance(model, GPT)
    assert not isinstance(PackedDecoder(model.eval(), 2).blocks, NativeBlocks)


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A user who never built it."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    native._library.cache_clear()
    yield tmp_path
    native._library.cache_clear()


def test_without_a_library_torch_does_it(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "nothing")
    assert native.load() is None and native.why_not_native() is not None
    model, text = a_model("modern"), [5, 6, 7]
    decoder = PackedDecoder(model, 2)
    assert not isinstance(decoder.blocks, NativeBlocks)
    with torch.inference_mode():
        torch.testing.assert_close(decoder.prefill(0, text), logits(model, text)[-1], atol=2e-5, rtol=0)


@needs_library
def test_nan_stays_nan() -> None:
    """A diverged model is found by its logits, so no kernel may turn NaN into a number."""
    model = a_model("modern")
    with torch.no_grad():
        model.wte.weight[3, 0] = torch.nan
    for T in (1, 4):
        assert quick(model).prefill(0, [3] * T).isnan().all()


def test_elsewhere_than_on_linux_torch_does_it(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert native.load() is None and native.why_not_native() == "native code is supported on Linux only"
