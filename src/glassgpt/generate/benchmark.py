"""How quickly a model writes on this machine, and how much of what the memory could give that is.

To write one token every weight is read once: bytes a token over the bandwidth of reading is the least time
that it can take, unless the weights fit a cache.
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import torch
from torch import Tensor

from glassgpt.generate.engine import Engine
from glassgpt.generate.fast import BYTES, NativeBlocks, PackedDecoder, Precision
from glassgpt.generate.request import Request
from glassgpt.generate.sampling import SamplingParams
from glassgpt.generate.speculation import PromptLookup
from glassgpt.models import Model

PROBE = 1 << 26
"""Numbers that are added up to see how fast memory is read: 256 MB, more than caches hold."""


@dataclass(frozen=True)
class Speed:
    """How quickly requests were written for."""

    precision: Precision
    batch: int
    tokens_per_s: float
    """Of all requests together."""
    first_token_s: float
    """From asking to the first token, with the model loaded."""
    weight_bytes: int
    """Read for each step."""
    bandwidth: float
    """Bytes a second that one sum over a large tensor reads, measured beside."""
    compiled: bool
    """Whether blocks.c did the work; if not, torch's kernels did."""
    accepted: float | None = None
    """Share of the guessed tokens that were right, where there was a draft."""

    @property
    def share(self) -> float:
        """Of the bandwidth, by reading weights alone; means nothing with a draft (several a step)."""
        return self.tokens_per_s / self.batch * self.weight_bytes / self.bandwidth


def measure_speed(
    model: Model,
    prompt: list[int],
    *,
    n_tokens: int = 200,
    batch: int = 1,
    precision: Precision = "float32",
    draft: PromptLookup | None = None,
    params: SamplingParams | None = None,
    rounds: int = 3,
) -> Speed:
    """Let a model continue a prompt `batch` times at once, `rounds` times over; medians.

    The first round, in which kernels are made, does not count.
    """
    engine = Engine(model, max_batch=batch, precision=precision, draft=draft)
    params = params or SamplingParams(temperature=0.8)
    rates, firsts, bandwidths = [], [], []
    for turn in range(rounds + 1):
        requests = [Request(prompt, params, n_tokens, seed=turn * batch + i) for i in range(batch)]
        before = read_bandwidth(model.device)
        began = time.perf_counter()
        tickets = [engine.add(request) for request in requests]
        while not engine.fetch(tickets[0]):
            engine.step()
        first = time.perf_counter()
        n_begun = engine.n_written
        while engine.busy:
            engine.step()
        rate = (engine.n_written - n_begun) / (time.perf_counter() - first)
        if turn:
            rates.append(rate)
            firsts.append(first - began)
            bandwidths.append((before + read_bandwidth(model.device)) / 2)
        engine.forget()
    return Speed(
        precision,
        batch,
        statistics.median(rates),
        statistics.median(firsts),
        weight_bytes(model, precision),
        statistics.median(bandwidths),
        isinstance(engine.decoder, PackedDecoder) and isinstance(engine.decoder.blocks, NativeBlocks),
        engine.n_accepted / engine.n_drafted if engine.n_drafted else None,
    )


def weight_bytes(model: Model, precision: Precision) -> int:
    """What is read of the weights for one token: all matrices, of tables of embeddings but a row."""
    matrices = {id(m.weight): m.weight for m in model.modules() if isinstance(m, torch.nn.Linear)}
    return sum(weight.numel() for weight in matrices.values()) * BYTES[precision]


_probe: dict[torch.device, Tensor] = {}


def read_bandwidth(device: torch.device) -> float:
    """Bytes a second that one sum over 256 MB reads; the median of three."""
    if device not in _probe:
        _probe[device] = torch.ones(PROBE, device=device)
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        _probe[device].sum().item()
        seconds.append(time.perf_counter() - began)
    return _probe[device].nbytes / statistics.median(seconds)
