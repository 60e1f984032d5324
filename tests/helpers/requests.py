"""Random requests to an engine, for small models of the zoo."""

from __future__ import annotations

import random

import torch

from glassgpt.generate import Request, SamplingParams
from glassgpt.models import Model
from glassgpt.nn import Memory
from helpers.zoo import V, make, source_for, wake

SMALL: dict[str, object] = dict(n_layer=2, n_head=2, n_embd=16, block_size=12)


def small(name: str, seed: int) -> Model:
    torch.manual_seed(seed)
    kv = {"n_kv_head": 1} if name == "modern-gqa" else {}
    return wake(make(name, **SMALL, **kv)) if name != "bigram" else make(name, block_size=12)


def memories_for(model: Model) -> list[Memory | None]:
    """Two memories of different lengths or images; a list with None for a model without them."""
    if (source := source_for(model, 1)) is None:
        return [None]
    other = source[:, :4] if source.ndim == 2 else source.flip(-1)
    with torch.no_grad():
        return [model.encode(source), model.encode(other)]


def random_request(rng: random.Random, memory: Memory | None) -> Request:
    kind = rng.randrange(4)
    params = [
        SamplingParams(temperature=0),
        SamplingParams(temperature=0.8, top_k=rng.choice([None, 5])),
        SamplingParams(top_p=0.9),
        SamplingParams(repetition_penalty=1.3, min_p=0.02),
    ][kind]
    prompt = [rng.randrange(V) for _ in range(rng.choice([1, 2, 5, 11, 12, 13, 30]))]
    end = rng.choice([None, rng.randrange(V)])
    bias = rng.choice([None, None, {3: 2.0, 5: -1.0}])
    n = rng.randint(1, 20)
    return Request(prompt, params, n, rng.randrange(1 << 30), end, bias, memory)
