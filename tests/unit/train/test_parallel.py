"""One process needs no others; and what several could do wrong."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from glassgpt.config import RunConfig
from glassgpt.data import Batch
from glassgpt.errors import UserError
from glassgpt.train import Dist, make_learner
from glassgpt.train.parallel import BUCKET_BYTES, _buckets


def test_alone_nothing_is_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    dist, t = Dist.from_env(), torch.ones(3)
    dist.all_reduce_sum([t])
    assert dist == Dist() and dist.is_main and t.tolist() == [1, 1, 1]
    assert (
        dist.all_reduce_max(2.0, 1.0) == [2.0, 1.0] and dist.broadcast_str("é") == "é" and dist.all_equal(1.5)
    )
    assert not torch.distributed.is_initialized()


def test_gradients_travel_in_pieces_of_bounded_size() -> None:
    small, large = torch.ones(3), torch.ones(BUCKET_BYTES // 4 + 1)
    buckets = list(_buckets([small, small, large, small, small.double()]))
    assert [[t.numel() for t in bucket] for bucket in buckets] == [[3, 3], [len(large)], [3], [3]]


def test_a_share_has_the_sources_of_its_rows() -> None:
    images = torch.arange(3, dtype=torch.uint8)[:, None, None, None]
    rows = torch.arange(8).view(4, 2)
    batch = Batch(rows, rows, images, torch.tensor([0, 1, 1, 2]))
    share = batch.rows(Dist(1, 2).shard(4))
    assert share.source is not None and share.source_of is not None
    assert share.source.flatten().tolist() == [1, 2] and share.source_of.tolist() == [0, 1]
    plain = Batch(rows, rows, rows).rows(Dist(0, 2).shard(4))
    assert plain.source is not None and plain.source.tolist() == plain.tokens.tolist() == [[0, 1], [2, 3]]


def test_a_batch_smaller_than_the_number_of_processes_is_refused() -> None:
    config = RunConfig.model_validate({"model": {"size": "nano"}})
    learner = make_learner(config, 10, Dist(rank=0, world_size=3))
    rows = torch.zeros(2, 8, dtype=torch.int64)
    with pytest.raises(UserError, match=r"batch of 2 rows.* 3 processes.*`micro_batch_size`"):
        learner.gradient([Batch(rows, rows)])


def test_weights_that_drift_apart_are_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    config = RunConfig.model_validate({"model": {"size": "nano"}})
    learner, other = (make_learner(config, 10, Dist(rank=0, world_size=2)) for _ in range(2))
    sums: list[list[float]] = []

    def largest(_: Dist, *numbers: float) -> list[Any]:
        sums.append(list(numbers))
        return [max(pair) for pair in zip(*sums, strict=True)]

    monkeypatch.setattr(Dist, "all_reduce_max", largest)
    learner.replicas_differ()
    assert not other.replicas_differ()
    with torch.no_grad():
        next(other.model.parameters()).view(-1)[0] += 1e-6
    assert other.replicas_differ()
