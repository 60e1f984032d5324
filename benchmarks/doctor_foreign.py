"""Bugs of others: the operators of `defaultplusplus`, planted in tiny models of transformers.

    PYTHONPATH=src PYTHON_OF_THE_VENV benchmarks/doctor_foreign.py OUT.json [--model qwen3|gpt2] [--set fresh]

Runs in an environment of its own, with `defaultplusplus==0.4.1`; `doctor.py`
starts it. A tiny model learns characters first. A bug counts ("killed") if it changes the held-out loss after
a few steps of fine-tuning in each of 5 seeds, or the loss that the model has with its cache. The operators
change weights at rest or wrap `forward`; nothing here knows how the doctor works.

`--set tuned` is what the checks were written with: the middle severity of each operator, in all blocks.
`--set fresh` has other weights, other batches and the other severities, and each operator in the last block
alone; the checks were not run on it before its first figures were written down (docs/experiments.md).
Both add healthy controls: models at several stages of training, with other shapes and other seeds.
"""

from __future__ import annotations

import argparse
import copy
import itertools
import json
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from defaultplusplus.deform import OPERATORS, get_injector  # pyright: ignore[reportMissingImports]
from transformers import GPT2Config, GPT2LMHeadModel, Qwen3Config, Qwen3ForCausalLM

from glassgpt.doctor import examine

T, ROWS, N_SEEDS, STEPS = 48, 8, 5, 4
SEEDS = {"tuned": {"weights": 0, "train": 1, "killed": 0, "val": 7, "batch": 99}} | {
    name: {"weights": n, "train": n + 1, "killed": n + 2, "val": n + 3, "batch": n + 4}
    for name, n in (("fresh", 400), ("second", 700))
}
STAGES = (0, 60, 250, 500)
"""Steps of training of the healthy controls."""
SHAPES: dict[str, tuple[dict[str, Any], ...]] = {
    "gpt2": ({}, {"n_layer": 3, "n_head": 2}, {"tie_word_embeddings": False}),
    "qwen3": ({}, {"num_hidden_layers": 3, "num_key_value_heads": 2}, {"tie_word_embeddings": True}),
}
"""Settings of the healthy controls."""
MIN_CHANGE = 0.005
"""Smallest change of the loss, in nats, that kills a mutant."""


LAST_BLOCK = (2,)
"""Their number of the second of two blocks."""


@dataclass(frozen=True)
class Mutant:
    """An operator with its severity, in all blocks or in some."""

    operator: Any
    value: Any
    layers: tuple[int, ...] = ()

    def named(self) -> dict[str, Any]:
        return {
            "operator": self.operator.op_id,
            "value": self.value,
            "blocks": "last" if self.layers else "all",
            "category": self.operator.component.value,
            "cause": self.operator.root_cause,
        }


def text() -> torch.Tensor:
    file = Path(os.environ["GLASSGPT_DATA"]) / "tinyshakespeare.txt"
    letters = file.read_text("utf-8")
    known = sorted(set(letters))
    return torch.tensor([known.index(letter) for letter in letters])


def windows(ids: torch.Tensor, n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    starts = torch.randint(0, len(ids) - T, (n,), generator=generator)
    return torch.stack([ids[i : i + T] for i in starts.tolist()])


def make(name: str, seed: int, **settings: Any) -> Any:
    torch.manual_seed(seed)
    tokens: dict[str, Any] = {
        "vocab_size": 65,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    if name == "gpt2":
        shape: dict[str, Any] = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": T}
        config = GPT2Config(**(shape | tokens | settings))
        config.resid_pdrop = config.embd_pdrop = config.attn_pdrop = 0.0
        config._attn_implementation = "eager"
        return GPT2LMHeadModel(config)
    shape: dict[str, Any] = {
        "hidden_size": 64,
        "intermediate_size": 192,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 4,
        "head_dim": 16,
        "max_position_embeddings": T,
        "tie_word_embeddings": False,
    }
    config = Qwen3Config(**(shape | tokens | settings))
    config._attn_implementation = "eager"
    return Qwen3ForCausalLM(config)


def loss_of(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    return model(input_ids=tokens, labels=tokens).loss


def train(model: Any, ids: torch.Tensor, steps: int, lr: float, seed: int) -> None:
    optimizer = torch.optim.AdamW(
        [p for p in model.parameters() if p.requires_grad], lr=lr, weight_decay=0.01
    )
    model.train()
    torch.manual_seed(seed)
    for i in range(steps):
        optimizer.zero_grad()
        loss = loss_of(model, windows(ids, ROWS, seed * 10_000 + i))
        if not loss.isfinite():
            break
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()


@torch.no_grad()
def held_out(model: Any, tokens: torch.Tensor) -> float:
    model.eval()
    return float(loss_of(model, tokens))


@torch.no_grad()
def with_cache(model: Any, tokens: torch.Tensor) -> float:
    """Loss of the tokens read one after another."""
    past, nats = None, 0.0
    for t in range(tokens.shape[1] - 1):
        output = model(input_ids=tokens[:, t : t + 1], past_key_values=past, use_cache=True)
        past = output.past_key_values
        nats -= float(output.logits[:, -1].log_softmax(-1).gather(1, tokens[:, t + 1 :][:, :1]).mean())
    return nats / (tokens.shape[1] - 1)


def planted(model: Any, mutant: Mutant) -> Any:
    return get_injector(mutant.operator.op_id, param_value=mutant.value, layers=mutant.layers)(model)


def tuned(model: Any, seed: int, ids: torch.Tensor, val: torch.Tensor) -> float:
    """Fine-tune for a few steps, and return the held-out loss."""
    train(model, ids, STEPS, 3e-4, seed)
    return held_out(model, val)


class Judge:
    """Decides which bugs change the loss: the same direction in every seed, or the loss with a cache."""

    def __init__(self, base: Any, ids: torch.Tensor, val: torch.Tensor, first_seed: int) -> None:
        self.base, self.ids, self.val = base, ids, val
        self.seeds = range(first_seed, first_seed + N_SEEDS)
        self.healthy = [tuned(copy.deepcopy(base), seed, ids, val) for seed in self.seeds]
        self.cached = with_cache(copy.deepcopy(base), val[:2])

    def kills(self, mutant: Mutant) -> bool:
        changes: list[float] = []
        for seed, healthy in zip(self.seeds, self.healthy, strict=True):
            model = copy.deepcopy(self.base)
            with planted(model, mutant):
                changes.append(tuned(model, seed, self.ids, self.val) - healthy)
        if all(c > MIN_CHANGE for c in changes) or all(c < -MIN_CHANGE for c in changes):
            return True
        if any(math.isnan(c) for c in changes):
            return True
        model = copy.deepcopy(self.base)
        with planted(model, mutant):
            other = with_cache(model, self.val[:2])
        return not abs(self.cached - other) < MIN_CHANGE


def examined(model: Any, batch: torch.Tensor) -> dict[str, Any]:
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-4)

    def step(model: Any, tokens: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss_of(model, tokens).backward()
        optimizer.step()

    began = time.monotonic()
    found = examine(model, batch, loss=loss_of, train_step=step, optimizer=optimizer)
    return {
        "seconds": round(time.monotonic() - began, 1),
        "problems": [[each.category, each.cause, each.where, str(each.observed)] for each in found.problems],
    }


def mutants(which: str) -> Iterator[Mutant]:
    """Yield the operators for decoders with the severities of a set."""
    for operator in OPERATORS.values() if isinstance(OPERATORS, dict) else OPERATORS:
        if operator.scope == "encoder":
            continue
        grid = tuple(operator.param_grid)
        if which == "tuned":
            yield Mutant(operator, (grid[1:2] or grid or (None,))[0])
            continue
        for value in (grid[:1] + grid[2:]) or (None,):
            yield Mutant(operator, value)
        yield Mutant(operator, (grid or (None,))[-1 if which == "second" else 0], LAST_BLOCK)


def controls(name: str, seeds: dict[str, int], ids: torch.Tensor) -> Iterator[dict[str, Any]]:
    """Examine healthy models of several shapes and stages of training."""
    for i, settings in enumerate(SHAPES[name]):
        seed = seeds["weights"] + 50 + i
        model, done = make(name, seed, **settings), 0
        for stage in STAGES:
            train(model, ids, stage - done, 2e-3, seed + stage)
            done = stage
            found = examined(copy.deepcopy(model), windows(ids, 16, seed + stage))
            yield {"model": name, "operator": None, "settings": settings, "steps": stage, **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="qwen3")
    parser.add_argument("--set", dest="which", choices=tuple(SEEDS), default="fresh")
    parser.add_argument("--only", nargs="*", default=[], help="operators")
    parser.add_argument("--quick", action="store_true", help="one value of each operator, few controls")
    args = parser.parse_args()
    torch.set_num_threads(1)
    ids, seeds = text(), SEEDS[args.which]
    train_ids, val = ids[: -len(ids) // 10], windows(ids[-len(ids) // 10 :], 32, seeds["val"])
    base = make(args.model, seeds["weights"])
    train(base, train_ids, 500, 2e-3, seeds["train"])
    batch = windows(train_ids, 16, seeds["batch"])
    judge = Judge(base, train_ids, val, seeds["killed"])
    rows: list[dict[str, Any]] = []
    seen: set[str] = set()
    for mutant in mutants(args.which):
        name = mutant.operator.op_id
        if (args.only and name not in args.only) or (args.quick and name in seen):
            continue
        seen.add(name)
        row = {"model": args.model, **mutant.named()}
        try:
            row["killed"] = judge.kills(mutant)
            model = copy.deepcopy(base)
            if row["killed"]:
                with planted(model, mutant):
                    row |= {"loss": held_out(model, val)} | examined(model, batch)
        except Exception as error:
            row["error"] = f"{type(error).__name__}: {error}"[:150]
        rows.append(row)
        print(row, flush=True)
        args.out.write_text(json.dumps(rows, indent=1), "utf-8")
    for row in itertools.islice(controls(args.model, seeds, train_ids), 4 if args.quick else None):
        rows.append(row)
        print(row, flush=True)
    args.out.write_text(json.dumps(rows, indent=1), "utf-8")


if __name__ == "__main__":
    main()
