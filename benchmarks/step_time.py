"""Time of one training step at nanoGPT's CPU shape: nanoGPT and GlassGPT, interleaved in one run.

    python benchmarks/step_time.py --nanogpt PATH_OF_A_CHECKOUT

Both train 4 layers of 128 with 4 heads on 12 sequences of 64 characters of tinyshakespeare, with AdamW
and gradient clipping, in float32, eager. nanoGPT's step is its own model and optimizer as in its train.py;
ours is the trainer's. Prints the median of the ratios of neighboring blocks of steps.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import torch

from glassgpt.config import RunConfig
from glassgpt.tasks import LanguageData
from glassgpt.train import start
from report import write_report

B, T = 12, 64
SHAPE = dict(preset="gpt2", n_layer=4, n_head=4, n_embd=128, block_size=T)


def load_nanogpt(path: Path) -> ModuleType:
    """nanoGPT's model.py as a module."""
    spec = importlib.util.spec_from_file_location("nanogpt_model", path / "model.py")
    assert spec and spec.loader, f"{path} is not a checkout of nanoGPT"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def nanogpt_step(module: ModuleType, ids: np.ndarray, *, bias: bool, n_vocab: int) -> Callable[[], None]:
    """One iteration as in nanoGPT's train.py: forward, next batch, backward, clip, step."""
    shape = dict(block_size=T, n_layer=4, n_head=4, n_embd=128)
    model = module.GPT(module.GPTConfig(vocab_size=n_vocab, dropout=0.0, bias=bias, **shape))
    optimizer = model.configure_optimizers(0.1, 1e-3, (0.9, 0.99), "cpu")

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        starts = torch.randint(len(ids) - T, (B,)).tolist()
        rows = [torch.from_numpy(ids[i : i + T + 1].astype(np.int64)) for i in starts]
        return torch.stack([row[:-1] for row in rows]), torch.stack([row[1:] for row in rows])

    following = batch()

    def step() -> None:
        nonlocal following
        _, loss = model(*following)
        following = batch()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def glassgpt_step(folder: Path) -> tuple[Callable[[], object], np.ndarray]:
    """The step of a real trainer on a real run, and the ids it trains on."""
    config = RunConfig.model_validate(
        {
            "data": {"sources": ["shakespeare"]},
            "model": SHAPE,
            "optim": {"optimizer": "adamw", "lr": 1e-3},
            "train": {"micro_batch_size": B, "steps": 1_000_000},
        }
    )
    session = start(config, folder / "run")
    assert isinstance(session.data, LanguageData)
    return lambda: list(session.trainer.train_step()), session.data.data.train.ids


def seconds(step: Callable[[], object], n: int) -> float:
    began = time.perf_counter()
    for _ in range(n):
        step()
    return (time.perf_counter() - began) / n


def main() -> None:
    parser = argparse.ArgumentParser(description="Time of a training step, compared with nanoGPT.")
    parser.add_argument("--nanogpt", type=Path, required=True, help="a checkout of karpathy/nanoGPT")
    parser.add_argument("--blocks", type=int, default=15)
    parser.add_argument("--steps", type=int, default=30, help="steps per block")
    args = parser.parse_args()
    module = load_nanogpt(args.nanogpt)
    with tempfile.TemporaryDirectory() as folder:
        ours, ids = glassgpt_step(Path(folder))
        steps = {
            "GlassGPT": ours,
            "nanoGPT, its recipe (no biases, 65 tokens)": nanogpt_step(
                module, ids % 65, bias=False, n_vocab=65
            ),
            "nanoGPT, same shape (biases, 321 tokens)": nanogpt_step(module, ids, bias=True, n_vocab=321),
        }
        for step in steps.values():
            seconds(step, 20)
        blocks = [
            {name: seconds(step, args.steps) for name, step in steps.items()} for _ in range(args.blocks)
        ]
    figures = {}
    for name in steps:
        ms = 1000 * statistics.median(block[name] for block in blocks)
        ratio = statistics.median(block["GlassGPT"] / block[name] for block in blocks)
        figures[name] = {"ms": round(ms, 2), "glassgpt_over_this": round(ratio, 3)}
        print(f"{name:45} {ms:6.1f} ms a step; GlassGPT takes {ratio:.3f} of it")
    write_report("step_time", {"peers": figures})


if __name__ == "__main__":
    main()
