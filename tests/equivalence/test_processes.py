"""Two processes that share each batch learn what one learns: the same losses, up to the order of a sum."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.material import material

TWO = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "glassgpt"]
ONE = ["-m", "glassgpt"]
SHAPE = "--n-layer 1 --n-embd 32 --n-head 2 --block-size 32 --image-size 16 --patch-size 8 --tokenizer char"
LENGTH = "--steps 8 --evals 2 --batch-size 5 --grad-accum-steps 2 --sample-tokens 0 --lr 0.002 --dropout 0"


def losses(command: list[str], source: Path, family: str, run: Path) -> tuple[list[float], list[float]]:
    """Of each step in training, and of each evaluation; with the shares of right answers, where there are."""
    kind = f"--model {family}" if family != "speedrun" else "--preset speedrun --ngram-rows 512"
    arguments = [*f"{kind} {SHAPE} {LENGTH}".split(), "--out", str(run)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, *command, "train", str(source), *arguments],
        capture_output=True,
        text=True,
        env=environment,
        timeout=250,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    evals = [row for row in rows if row["event"] == "eval"]
    measured = [row["nats_per_token"] for row in evals] + [row["exact"] or 0.0 for row in evals]
    return [row["loss"] for row in rows if row["event"] == "step"], measured


@pytest.mark.dist
@pytest.mark.parametrize(
    "family", ["gpt", "speedrun", pytest.param("seq2seq", marks=pytest.mark.slow), "captioner"]
)
def test_the_same_losses(family: str, tmp_path: Path) -> None:
    """With batches of five, which two cannot share evenly."""
    source = tmp_path / "text.txt"
    source.write_text("".join(f"{i} times {i % 7} is {i * (i % 7)}.\n" for i in range(200)))
    if family not in ("gpt", "speedrun"):
        source = material(family, tmp_path)
    one, two = (losses(how, source, family, tmp_path / f"{len(how)}") for how in (ONE, TWO))
    assert len(one[0]) == 8 and len(one[1]) == 4
    for alone, together in zip(one, two, strict=True):
        assert together == pytest.approx(alone, rel=1e-4)
