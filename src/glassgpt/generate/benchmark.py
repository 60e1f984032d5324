"""Generation speed on this machine, and its share of the RAM bandwidth.

Each token reads every weight once, so weight bytes over bandwidth is the least time per token, unless the
weights fit in a CPU cache.
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
"""Size of the bandwidth probe in float32 numbers: 256 MB, more than CPU caches hold."""


@dataclass(frozen=True)
class Speed:
    """Measured generation speed."""

    precision: Precision
    batch: int
    tokens_per_s: float
    """All requests together."""
    first_token_s: float
    """Seconds from request to first token, with the model loaded."""
    weight_bytes: int
    """Bytes read per step."""
    bandwidth: float
    """Bytes per second of one sum over a large tensor, measured in the same rounds."""
    native: bool
    """True if blocks.c did the work, False if torch's kernels did."""
    accepted: float | None = None
    """Share of the drafted tokens that were accepted; None without a draft."""

    @property
    def share(self) -> float:
        """Share of the bandwidth used to read weights.

        Meaningless with a draft: one step may generate several tokens.
        """
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
    """Continue a prompt `batch` times at once, `rounds` times, and return medians.

    A warm-up round, in which kernels are built, does not count.
    """
    engine = Engine(model, max_batch=batch, precision=precision, draft=draft)
    params = params or SamplingParams(temperature=0.8)
    rates, firsts, bandwidths = [], [], []
    for i_round in range(rounds + 1):
        requests = [Request(prompt, params, n_tokens, seed=i_round * batch + i) for i in range(batch)]
        before = read_bandwidth(model.device)
        start = time.perf_counter()
        request_ids = [engine.add(request) for request in requests]
        while not engine.fetch(request_ids[0]):
            engine.step()
        first = time.perf_counter()
        n_before = engine.stats.n_generated
        while engine.busy:
            engine.step()
        rate = (engine.stats.n_generated - n_before) / (time.perf_counter() - first)
        if i_round:
            rates.append(rate)
            firsts.append(first - start)
            bandwidths.append((before + read_bandwidth(model.device)) / 2)
        engine.clear_prefix_cache()
    return Speed(
        precision,
        batch,
        statistics.median(rates),
        statistics.median(firsts),
        weight_bytes(model, precision),
        statistics.median(bandwidths),
        isinstance(engine.decoder, PackedDecoder) and isinstance(engine.decoder.blocks, NativeBlocks),
        engine.stats.n_accepted / engine.stats.n_drafted if engine.stats.n_drafted else None,
    )


def weight_bytes(model: Model, precision: Precision) -> int:
    """Count the weight bytes read per token: all matrices, without embedding tables."""
    matrices = {id(m.weight): m.weight for m in model.modules() if isinstance(m, torch.nn.Linear)}
    return sum(weight.numel() for weight in matrices.values()) * BYTES[precision]


_probe: dict[torch.device, Tensor] = {}


def read_bandwidth(device: torch.device) -> float:
    """Measure bytes per second of a sum over 256 MB (median of three)."""
    if device not in _probe:
        _probe[device] = torch.ones(PROBE, device=device)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        _probe[device].sum().item()
        seconds.append(time.perf_counter() - start)
    return _probe[device].nbytes / statistics.median(seconds)
