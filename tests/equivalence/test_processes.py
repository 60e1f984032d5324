"""Two processes that share each batch learn what one learns: the same losses, up to the order of a sum.

As a script it is one of two processes, which train the commands of a file in turn.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from glassgpt.cli.main import main
from helpers.commands import run
from helpers.material import material

FAMILIES = ("gpt", "speedrun", "seq2seq", "captioner")
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
SHAPE = "--n-layer 1 --n-embd 32 --n-head 2 --block-size 32 --image-size 16 --patch-size 8 --tokenizer char"
LENGTH = "--steps 8 --evals 2 --batch-size 5 --grad-accum-steps 2 --sample-tokens 0 --lr 0.002 --dropout 0"


def source_of(family: str, folder: Path) -> Path:
    """Write the data of a family into a folder."""
    if family in ("seq2seq", "captioner"):
        return material(family, folder)
    source = folder / "text.txt"
    source.write_text("".join(f"{i} times {i % 7} is {i * (i % 7)}.\n" for i in range(200)))
    return source


def command(folder: Path, family: str, out: str) -> list[str]:
    """Return the training of a family, from its data in the folder."""
    kind = f"--model {family}" if family != "speedrun" else "--preset speedrun --ngram-rows 512"
    source = source_of(family, folder)
    return ["train", str(source), *f"{kind} {SHAPE} {LENGTH}".split(), "--out", str(folder / out / family)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which two processes have trained each family, with one start of the processes."""
    folder = tmp_path_factory.mktemp("processes")
    commands = [command(folder, family, "two") for family in FAMILIES]
    (folder / "commands.json").write_text(json.dumps(commands))
    search = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    ended = subprocess.run(
        [sys.executable, *TORCHRUN, __file__, str(folder / "commands.json")],
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": search},
        timeout=250,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return folder


def losses(run: Path) -> tuple[list[float], list[float]]:
    """Of each step in training, and of each evaluation; with the shares of right answers, where there are."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    evals = [row for row in rows if row["event"] == "eval"]
    measured = [row["nats_per_token"] for row in evals] + [row["exact"] or 0.0 for row in evals]
    return [row["loss"] for row in rows if row["event"] == "step"], measured


@pytest.mark.dist
@pytest.mark.parametrize("family", FAMILIES)
def test_the_same_losses(family: str, folder: Path) -> None:
    """With batches of five, which two cannot share evenly."""
    run(folder, *command(folder, family, "one"))
    one, two = (losses(folder / out / family) for out in ("one", "two"))
    assert len(one[0]) == 8 and len(one[1]) == 4
    for alone, together in zip(one, two, strict=True):
        assert together == pytest.approx(alone, rel=1e-4)


if __name__ == "__main__":
    for words in json.loads(Path(sys.argv[1]).read_text()):
        main(words)
