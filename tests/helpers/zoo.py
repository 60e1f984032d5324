"""Small models of every family and kind, and a source for each."""

from __future__ import annotations

import shutil
import sys

import torch
from torch import Tensor

from glassgpt.config import ModelConfig
from glassgpt.generate.fast.compiler import compiler_command
from glassgpt.models import Model, build

V = 65
NANO = dict(size="nano")
LABELED = dict(family="encoder", labels=("a", "b", "c"), size="nano")
SEEING = dict(family="captioner", image_size=24, patch_size=4, size="nano")
MODELS = {
    "bigram": dict(family="bigram"),
    "gpt2": dict(preset="gpt2", **NANO),
    "modern": dict(preset="modern", **NANO),
    "modern-gqa": dict(preset="modern", n_kv_head=2, **NANO),
    "modern-tied": dict(preset="modern", tie_embeddings=True, **NANO),
    "modern-wide-heads": dict(preset="modern", head_size=24, n_kv_head=2, norm_eps=1e-3, **NANO),
    "speedrun": dict(preset="speedrun", ngram_rows=512, **NANO),
    "modern-window": dict(preset="modern", window=4, **NANO),
    "sinusoidal": dict(preset="gpt2", position="sinusoidal", **NANO),
    "no-positions": dict(preset="gpt2", position="none", bias=False, **NANO),
    "encoder-gpt2": dict(family="encoder", preset="gpt2", **NANO),
    "encoder-modern": dict(family="encoder", preset="modern", **NANO),
    "encoder-window": dict(family="encoder", preset="modern", window=4, **NANO),
    "classifier-gpt2": dict(preset="gpt2", **LABELED),
    "classifier-modern": dict(preset="modern", **LABELED),
    "seq2seq-gpt2": dict(family="seq2seq", preset="gpt2", **NANO),
    "seq2seq-modern": dict(family="seq2seq", preset="modern", n_encoder_layer=1, **NANO),
    "captioner-gpt2": dict(preset="gpt2", **SEEING),
    "captioner-modern": dict(preset="modern", channels=3, n_encoder_layer=3, **SEEING),
}
CROSS = [name for name in MODELS if name.startswith(("seq2seq", "captioner"))]
TRANSFORMERS = [name for name in MODELS if name != "bigram"]
DECODERS = [name for name in TRANSFORMERS if MODELS[name].get("family") != "encoder"]
NOT_PACKED: frozenset[str] = frozenset()
"""Decoders with an option that the fast path does not compute: name them here, or support them there."""
PACKED = [name for name in DECODERS if name not in NOT_PACKED]


def has_compiler() -> bool:
    """True if this machine can build blocks.c; a failing build must then fail the tests."""
    return sys.platform == "linux" and shutil.which(compiler_command()[0]) is not None


def make(name: str, **changes: object) -> Model:
    return build(ModelConfig.model_validate({**MODELS[name], **changes}), V)


def wake(model: Model) -> Model:
    """Give all weights random values, so that no zero-initialized layer hides a mistake."""
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim == 2:
                p.normal_(std=0.1)
            else:
                p.add_(torch.randn_like(p), alpha=0.1)
    return model.eval()


def source_for(model: Model, B: int) -> Tensor | None:
    """Make a source for the families with an encoder, else None."""
    match model.config:
        case ModelConfig(family="seq2seq"):
            return torch.randint(V, (B, 9))
        case ModelConfig(family="captioner", channels=channels, image_size=size):
            return torch.randint(256, (B, channels, size, size), dtype=torch.uint8)
    return None
