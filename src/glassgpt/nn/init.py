"""Initialization: a fresh model knows nothing, so its loss is about ln V."""

import math

import torch
from torch import nn

from glassgpt.config import ModelConfig
from glassgpt.nn.block import Block
from glassgpt.nn.ngram import NgramEmbedding


@torch.no_grad()
def init_weights(model: nn.Module, config: ModelConfig) -> None:
    """Initialize all weights from torch's generator, by the scheme `config.init`.

    gpt2: every matrix N(0, 0.02²); residual projections smaller by √(2 n_layer), so that the variance of the
    residual stream does not grow with depth (Radford et al. 2019).
    zero: matrices N(0, 1 / fan_in), which keep a unit-variance input at unit variance; residual projections
    start at zero, so each block begins as the identity. A tied embedding is small, or each token would begin
    by predicting itself.
    N-gram embeddings start at zero in both.
    """
    blocks = [module for module in model.modules() if isinstance(module, Block)]
    residual = {linear for block in blocks for linear in block.residual_projections()}
    ngram_tables = {module.table for module in model.modules() if isinstance(module, NgramEmbedding)}
    for module in model.modules():
        if module in ngram_tables:
            nn.init.zeros_(module.get_parameter("weight"))
        elif isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=_embedding_std(config))
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=_linear_std(module, module in residual, config))
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _linear_std(linear: nn.Linear, is_residual: bool, config: ModelConfig) -> float:
    if config.init == "gpt2":
        return 0.02 / math.sqrt(2 * config.n_layer) if is_residual else 0.02
    return 0.0 if is_residual else linear.in_features**-0.5


def _embedding_std(config: ModelConfig) -> float:
    if config.init == "gpt2":
        return 0.02
    return 1 / config.n_embd if config.tie_embeddings else 1.0
