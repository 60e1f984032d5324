"""First weights. A model should start out knowing nothing: its loss at birth is then about ln V."""

import math

import torch
from torch import nn

from glassgpt.config import ModelConfig
from glassgpt.nn.block import Block
from glassgpt.nn.ngram import NgramEmbedding


@torch.no_grad()
def init_weights(model: nn.Module, config: ModelConfig) -> None:
    """Fill all weights from the generator of torch, by the scheme that `config.init` names.

    gpt2: every matrix N(0, 0.02²); those that write to the residual stream smaller by √(2 n_layer), so that
    the stream's variance does not grow with depth (Radford et al. 2019).
    zero: matrices N(0, 1 / fan_in), which keep a unit-variance input at unit variance; those that write to
    the residual stream start at zero: each block begins as the identity. An embedding that is also the head
    is small, or each token would begin by predicting itself. Embeddings of runs of tokens
    start at zero in both.
    """
    gpt2 = config.init == "gpt2"
    writers = {writer for block in model.modules() if isinstance(block, Block) for writer in block.writers()}
    tables: set[nn.Module] = set()  # of runs of tokens: each module comes before its parts
    for module in model.modules():
        if isinstance(module, NgramEmbedding):
            tables.add(module.table)
            nn.init.zeros_(module.table.weight)
        elif isinstance(module, nn.Embedding) and module not in tables:
            nn.init.normal_(module.weight, std=_embedding_std(config))
        elif isinstance(module, nn.Linear):
            if gpt2:
                std = 0.02 / math.sqrt(2 * config.n_layer) if module in writers else 0.02
            else:
                std = 0.0 if module in writers else module.in_features**-0.5
            nn.init.normal_(module.weight, std=std)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


def _embedding_std(config: ModelConfig) -> float:
    if config.init == "gpt2":
        return 0.02
    return 1 / config.n_embd if config.tie_embeddings else 1.0
