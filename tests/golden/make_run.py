"""Makes the tiny run that tests/golden keeps of a checkpoint format, and what it must go on saying.

    python tests/golden/make_run.py tests/golden/format-1

To be run once, when a format is new: a run that is there stays as the code of its time wrote it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import torch

import glassgpt as gg

TEXT = "".join(f"{i} green bottles hanging on the wall, {i % 7} should fall.\n" for i in range(60))
PROMPT = "9 green"
STEPS, MORE = 6, 3


def logits(run: Path) -> list[list[float]]:
    """Of every place of the prompt, from the run's best step: (T, V)."""
    model, tokenizer = gg.load_run(run)
    with torch.no_grad():
        return model(torch.tensor([tokenizer.encode(PROMPT)]))[0].tolist()


def settings(steps: int) -> gg.RunConfig:
    """A gpt of one block of width 8."""
    model = {"n_layer": 1, "n_head": 1, "n_embd": 8, "n_hidden": 8, "block_size": 16, "tie_embeddings": True}
    train = {"steps": steps, "evals": 1, "sample_tokens": 0, "micro_batch_size": 4, "device": "cpu"}
    return gg.RunConfig.model_validate({"data": {"sources": ["text.txt"]}, "model": model, "train": train})


def make(folder: Path) -> None:
    """Train, and write down what was learned."""
    folder.mkdir(parents=True)
    os.chdir(folder)
    Path("text.txt").write_text(TEXT)
    for _ in gg.start(settings(STEPS), out="run").run():
        pass
    expected = [[round(x, 6) for x in row] for row in logits(Path("run"))]
    Path("logits.json").write_text(json.dumps(expected) + "\n")
    Path("text.txt").unlink()
    for lock in Path("run").glob(".lock*"):
        lock.unlink()


if __name__ == "__main__":
    make(Path(sys.argv[1]))
