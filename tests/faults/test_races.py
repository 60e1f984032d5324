"""Two processes that want one run folder at the same moment."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from faults.crash import Ended, Server, Weights, assert_ends_like, newest, weights_of

Count = Callable[[str], None]
N = [4, pytest.param(100, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]


def race(server: Server, arguments: list[str]) -> tuple[Ended, Ended]:
    """The same command twice at once; the winner first."""
    first, second = server.spawn(arguments), server.spawn(arguments)
    ends = sorted((server.wait(first), server.wait(second)), key=lambda ended: ended.code)
    assert [ended.code for ended in ends] == [0, 2] and not ends[1].crashed, ends
    return ends[0], ends[1]


def trained_steps(run: Path) -> list[int]:
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [row["step"] for row in rows if row["event"] == "step"]


@pytest.mark.parametrize("n", N)
def test_two_new_runs(
    server: Server, reference: dict[str, Weights], tmp_path: Path, n: int, count: Count
) -> None:
    for trial in range(n):
        run = tmp_path / f"{trial}"
        _, loser = race(server, server.training(run))
        assert str(run) in loser.output
        assert trained_steps(run) == list(range(1, 7))
        assert_ends_like(run, reference)
    count(f"races for a new run: {n}, one winner each")


@pytest.mark.parametrize("n", N)
def test_two_that_resume(server: Server, tmp_path: Path, n: int, count: Count) -> None:
    ends: set[str] = set()
    for trial in range(n):
        run = tmp_path / f"{trial}"
        assert server.train(run).code == 0
        _, loser = race(server, ["train", "--resume", str(run), "--steps", "30"])
        assert "is being trained by" in loser.output or "is finished" in loser.output, loser.output
        assert trained_steps(run) == list(range(1, 31))
        name, problems = newest(run)
        assert name == "step-0000000030" and not problems
        ends.add(str(weights_of(run / "checkpoints" / name)))
    assert len(ends) == 1
    count(f"races to resume a run: {n}, one winner each")
