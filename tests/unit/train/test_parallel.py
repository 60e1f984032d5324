"""One process needs no others; and what several could do wrong."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from glassgpt.config import RunConfig
from glassgpt.data import Batch
from glassgpt.errors import UserError
from glassgpt.objective import Measured, evaluate
from glassgpt.train import Dist, make_learner
from glassgpt.train.parallel import BUCKET_BYTES, _buckets, deal_batches
from helpers import zoo


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
        learner.backward([Batch(rows, rows)])


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


def test_every_process_evaluates_equally_often() -> None:
    """Five batches for two processes: the sixth is empty, and costs and changes nothing."""
    rows = torch.arange(8).view(4, 2)
    batches = [Batch(rows + i, rows + i) for i in range(5)]
    dealt = [list(deal_batches(iter(batches), Dist(rank, 2))) for rank in range(2)]
    assert [[len(batch.tokens) for batch in each] for each in dealt] == [[4, 4, 4], [4, 4, 0]]
    kept = [batch for group in zip(*dealt, strict=True) for batch in group if len(batch.tokens)]
    assert all(mine is batch for mine, batch in zip(kept, batches, strict=True))
    assert all(mine is batch for mine, batch in zip(deal_batches(batches, Dist()), batches, strict=True))


@pytest.mark.parametrize("name", zoo.MODELS)
def test_a_batch_without_rows_has_no_loss(name: str) -> None:
    """In every family: what a process gets whose share is used up."""
    model = zoo.make(name)
    tokens, source = torch.randint(zoo.V, (2, 6)), zoo.source_for(model, 2)
    T = 1 if model.config.labels else 6
    batch = Batch(tokens, torch.zeros(2, T, dtype=torch.int64), source)
    shared = batch._replace(source_of=torch.tensor([0, 1]))
    for each in (batch, shared) if source is not None else (batch,):
        measured = evaluate(model, [each.rows(slice(0, 0))], count_correct=True)
        assert measured == Measured(0.0, 0)
