"""The forward pass on one slide: every family, true shapes and numbers, nothing over anything else."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import torch

pytest.importorskip("matplotlib")

from glassgpt import plots
from glassgpt.checkpoint import Run
from glassgpt.config import ModelConfig
from glassgpt.errors import UserError
from glassgpt.explain.context import BUILTIN
from glassgpt.language import using
from glassgpt.lens import Trace, trace
from glassgpt.models import build
from glassgpt.plots.slide import SMALLEST
from glassgpt.tokenizers import train_tokenizer
from helpers.pictures import drawn_texts, faint, outside, overlapping, without_texts
from helpers.zoo import MODELS, wake

WORDS = "the moon sees seven green boats on a cold river"
WIDE = {
    "deep": dict(n_layer=12, n_head=12, n_embd=96, block_size=64),
    "one block": dict(n_layer=1, n_head=3, n_embd=96, block_size=64),
    "wide": dict(n_layer=3, n_head=16, n_kv_head=4, head_size=128, n_embd=1024, block_size=128),
    "deep-seq2seq": dict(
        family="seq2seq", n_layer=6, n_encoder_layer=9, n_head=8, n_embd=512, block_size=128
    ),
}


def trace_of(name: str, text: str = WORDS) -> Trace:
    """Trace a model with random weights."""
    torch.manual_seed(0)
    tokenizer = train_tokenizer("char", [WORDS], specials=("<bos>", "<eos>", "<sep>", "<mask>"))
    config = ModelConfig.model_validate(WIDE.get(name) or MODELS[name])
    model = wake(build(config, tokenizer.n_vocab))
    captions = config.family == "captioner"
    shape = (config.channels, config.image_size, config.image_size)
    image = np.random.default_rng(0).integers(256, size=shape, dtype=np.uint8) if captions else None
    target = "a cold boat" if config.family in ("seq2seq", "captioner") else None
    return trace(model, tokenizer, text, image=image, target=target)


DRAWN = ["bigram", "gpt2", "speedrun", "encoder-modern", "classifier-gpt2", "captioner-modern", *WIDE]
"""One model of each family and kind of positions, and large ones."""
REST = [name for name in MODELS if name not in DRAWN]
CASES = [
    *((name, "light") for name in DRAWN),
    *((name, "dark") for name in ("gpt2", "captioner-modern")),
    *(pytest.param(name, "light", marks=pytest.mark.slow) for name in REST),
]


@pytest.mark.parametrize(("name", "theme"), CASES)
def test_it_is_a_slide_that_can_be_read(name: str, theme: str) -> None:
    seen = trace_of(name)
    with plots.theme(theme):
        plot = plots.plot_forward(seen)
    texts, pixels = drawn_texts(plot), without_texts(plot)
    assert pixels.shape == (540, 960, 3)
    assert {text.words for text in texts if text.size < SMALLEST} == set()
    assert overlapping(texts) == []
    assert outside(plot, texts) == []
    assert faint(pixels, texts, 3.0) == []


@pytest.mark.parametrize("name", ["text", "dates"])
def test_it_is_a_slide_in_chinese(name: str) -> None:
    if plots.fonts.without_glyph("字"):
        pytest.skip("no Chinese font is installed: apt-get install fonts-noto-cjk")
    run = Run.open(BUILTIN / name)
    seen = trace(run.model(), run.tokenizer(), "To be, or not" if name == "text" else "zh: 2024年3月14日")
    with using("zh"):
        plot = plots.plot_forward(seen)
    texts = drawn_texts(plot)
    assert overlapping(texts) == [] and outside(plot, texts) == []


def words_of(seen: Trace) -> str:
    return "\n".join(text.words for text in drawn_texts(plots.plot_forward(seen)))


def test_shapes_and_numbers_are_those_of_the_model() -> None:
    run = Run.open(BUILTIN / "text")
    model, tokenizer = run.model(), run.tokenizer()
    ids = tokenizer.encode("To be")
    words = words_of(trace(model, tokenizer, "To be"))
    with torch.no_grad():
        x = model.wte(torch.tensor([ids]))  # (1, 5, 64)
        p = model(torch.tensor([ids]))[0, -1].softmax(-1)
    assert "ids (1,5)" in words and "wte[id] (321,64)" in words and "logits (1,5,321)" in words
    assert "q, k, v (1,4,5,16)" in words and "weights (1,4,5,5)" in words and "C → 192 → C" in words
    assert f"{x[0, -1, 0]:.2f}".replace("-", "−") in words
    assert all(str(id) in words.split("\n") for id in ids)
    shares = [f"{share:.0%}" for share in p.topk(5).values.tolist()]
    assert [line for line in words.split("\n") if line.endswith("%")] == shares


def test_blocks_between_are_counted() -> None:
    words = words_of(trace_of("deep"))
    assert "block 0" in words and "block 11" in words and "block 1\n" not in words
    assert "10 more" in words and "blocks" in words


def test_a_translation_has_two_rows_and_a_memory() -> None:
    words = words_of(trace_of("deep-seq2seq"))
    assert "encoder" in words and "decoder" in words and "memory" in words
    assert words.count("cross-attention") == 2
    assert "block 8" in words and "block 5" in words  # the last of nine and of six


def test_classes_gaps_and_tables() -> None:
    assert re.search(r"^[abc]$", words_of(trace_of("classifier-modern")), re.MULTILINE)
    gaps = trace_of("encoder-modern", "the m[?]on")
    assert gaps.tokens[5] == "<mask>" and "the token in the gap" in words_of(gaps)
    assert "looks up its row" in words_of(trace_of("bigram"))


def test_a_trace_with_less_is_refused() -> None:
    seen = trace_of("modern")
    with pytest.raises(UserError, match="no whole forward pass"):
        plots.plot_forward(replace(seen, predictions=()))
    with pytest.raises(UserError, match="no whole forward pass"):
        plots.plot_forward(seen.select("blocks.0.*"))
    with pytest.raises(UserError, match="no whole forward pass"):
        plots.plot_forward(seen.select(["blocks.0.*", "norm_f", "logits"]))


def test_a_saved_trace_draws_the_same(tmp_path) -> None:
    seen = trace_of("modern")
    again = Trace.load(seen.save(tmp_path / "a.safetensors", "float32"))
    assert words_of(again) == words_of(seen)
    assert again.ids == seen.ids and again.predictions == seen.predictions
