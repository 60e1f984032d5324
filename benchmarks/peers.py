"""Other programs for train_cpu.py, each with nanoGPT's recipe for a CPU.

The recipe: 4 layers of 128 with 4 heads, 12 sequences of 64 characters, AdamW at 0.001 with 100 steps of
warm-up and cosine decay to a tenth, weight decay 0.1, β₂ 0.99, gradients clipped at 1, 2,000 steps.
"""

from __future__ import annotations

import importlib.util
import math
import multiprocessing
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

B, T, V, STEPS = 12, 64, 65, 2000
SHAPE = dict(n_layer=4, n_head=4, n_embd=128)
Logits = Callable[[Tensor], Tensor]


@dataclass
class Peer:
    """One step at a time, and (B, T) ids -> logits (B, T, V) of what has been learned so far."""

    name: str
    step: Callable[[], None]
    logits: Logits
    n_steps: int = STEPS
    T: int = T


def load(path: Path, file: str) -> ModuleType:
    """A file of a checkout as a module."""
    sys.path.insert(0, str(path))
    spec = importlib.util.spec_from_file_location(f"{path.name}_{Path(file).stem}", path / file)
    assert spec and spec.loader, f"{path} has no {file}"
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def batches(ids: np.ndarray, seed: int) -> Callable[[], tuple[Tensor, Tensor]]:
    """Random windows, drawn as nanoGPT draws them."""
    data, generator = torch.from_numpy(ids.astype(np.int64)), torch.Generator().manual_seed(seed)

    def draw() -> tuple[Tensor, Tensor]:
        starts = torch.randint(len(data) - T, (B,), generator=generator).tolist()
        rows = [data[i : i + T + 1] for i in starts]
        return torch.stack([row[:-1] for row in rows]), torch.stack([row[1:] for row in rows])

    return draw


def rate(step: int) -> float:
    """nanoGPT's schedule."""
    if step < 100:
        return 1e-3 * (step + 1) / 101
    return 1e-4 + 0.5 * (1 + math.cos(math.pi * (step - 100) / (STEPS - 100))) * 9e-4


def looped(
    name: str,
    model: nn.Module,
    loss_of: Callable[[Tensor, Tensor], Tensor],
    logits: Logits,
    optimizer: torch.optim.Optimizer,
    ids: np.ndarray,
    seed: int,
) -> Peer:
    """A peer whose loop is nanoGPT's."""
    draw, count = batches(ids, seed), 0

    def step() -> None:
        nonlocal count
        for group in optimizer.param_groups:
            group["lr"] = rate(count)
        loss_of(*draw()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        count += 1

    return Peer(name, step, logits)


def nanogpt(path: Path, ids: np.ndarray, seed: int, *, compiled: bool) -> Peer:
    """Its own model and optimizer."""
    module = load(path, "model.py")
    torch.manual_seed(seed)
    model = module.GPT(module.GPTConfig(vocab_size=V, block_size=T, dropout=0.0, bias=False, **SHAPE))
    optimizer = model.configure_optimizers(0.1, 1e-3, (0.9, 0.99), "cpu")
    run: Any = torch.compile(model) if compiled else model
    name = "nanoGPT, compiled" if compiled else "nanoGPT"
    return looped(
        name, model, lambda x, y: run(x, y)[1], lambda x: model(x, x)[0], optimizer, ids, seed
    )  # with targets it gives all logits, without them the last


def mingpt(path: Path, ids: np.ndarray, seed: int) -> Peer:
    """Its own model and optimizer, with the schedule of the recipe (it has none)."""
    module = load(path, "mingpt/model.py")
    torch.manual_seed(seed)
    config = module.GPT.get_default_config()
    config.merge_from_dict(dict(model_type=None, vocab_size=V, block_size=T, **SHAPE))
    config.merge_from_dict(dict(embd_pdrop=0.0, resid_pdrop=0.0, attn_pdrop=0.0))
    model = module.GPT(config)
    train = type("Train", (), dict(weight_decay=0.1, learning_rate=1e-3, betas=(0.9, 0.99)))
    optimizer = model.configure_optimizers(train)
    return looped("minGPT", model, lambda x, y: model(x, y)[1], lambda x: model(x)[0], optimizer, ids, seed)


def litgpt(ids: np.ndarray, seed: int) -> Peer:
    """Its GPT with the recipe's shape (rotary positions, as its Pythia), and the recipe's AdamW."""
    from litgpt.config import Config  # pyright: ignore[reportMissingImports]
    from litgpt.model import GPT  # pyright: ignore[reportMissingImports]

    torch.manual_seed(seed)
    model = GPT(Config(block_size=T, vocab_size=V, padded_vocab_size=V, bias=False, **SHAPE))
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=1e-3, betas=(0.9, 0.99), weight_decay=0.1, fused=True
    )

    def loss_of(x: Tensor, y: Tensor) -> Tensor:
        return nn.functional.cross_entropy(model(x).view(-1, V), y.view(-1))

    return looped("litgpt", model, loss_of, model, optimizer, ids, seed)


def huggingface(ids: np.ndarray, seed: int, folder: Path) -> Peer:
    """GPT2LMHeadModel with its Trainer, in a process of its own, whose threads slow down no other."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    context.Process(target=_train, args=(theirs, ids, seed, folder), daemon=True).start()
    assert ours.recv() == "ready"

    def ask(question: Tensor | None) -> Any:
        ours.send(question)
        return ours.recv()

    return Peer("Hugging Face GPT-2, Trainer", lambda: ask(None), ask)


def _train(pipe: Any, ids: np.ndarray, seed: int, folder: Path) -> None:
    """Make a step when asked for None, and logits when asked with tokens."""
    from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainerCallback, TrainingArguments

    torch.manual_seed(seed)
    off = dict(attn_pdrop=0.0, embd_pdrop=0.0, resid_pdrop=0.0)
    fields: dict[str, Any] = dict(vocab_size=V, n_positions=T, bos_token_id=0, eos_token_id=0, **SHAPE, **off)
    model = GPT2LMHeadModel(GPT2Config(**fields))
    data = torch.from_numpy(ids.astype(np.int64))
    generator = torch.Generator().manual_seed(seed)
    starts = torch.randint(len(data) - T, (B * STEPS,), generator=generator).tolist()
    windows: Any = [{"input_ids": data[i : i + T], "labels": data[i : i + T]} for i in starts]

    class OnRequest(TrainerCallback):
        def on_train_begin(self, *_: Any, **__: Any) -> None:
            pipe.send("ready")

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            while (tokens := pipe.recv()) is not None:
                answer(tokens)

        def on_step_end(self, *_: Any, **__: Any) -> None:
            pipe.send(None)

    def answer(tokens: Tensor) -> None:
        with torch.no_grad():
            pipe.send(model(tokens).logits)

    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=STEPS,
        per_device_train_batch_size=B,
        learning_rate=1e-3,
        lr_scheduler_type="cosine",
        warmup_steps=100,
        weight_decay=0.1,
        adam_beta2=0.99,
        max_grad_norm=1.0,
        logging_strategy="no",
        save_strategy="no",
        report_to=[],
        disable_tqdm=True,
        use_cpu=True,
        seed=seed,
    )
    trainer = Trainer(model=model, args=arguments, train_dataset=windows, callbacks=[OnRequest()])
    with suppress(EOFError):  # the benchmark is over
        trainer.train()
        while True:
            answer(pipe.recv())
