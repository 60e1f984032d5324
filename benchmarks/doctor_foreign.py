"""Bugs of others: the operators of `defaultplusplus`, planted in tiny models of transformers.

    PYTHONPATH=src PYTHON_OF_THE_VENV benchmarks/doctor_foreign.py OUT.json [--model qwen3|gpt2]

Runs in an environment of its own, with `defaultplusplus==0.4.1`; `doctor.py`
starts it. A tiny model learns characters first. A bug counts ("killed") if it changes the held-out loss after
a few steps of fine-tuning in each of 5 seeds, or the loss that the model has with its cache. The operators
change weights at rest or wrap `forward`; nothing here knows how the doctor works.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import json
import os
import time
from pathlib import Path
from typing import Any

import torch
from defaultplusplus.deform import OPERATORS, get_injector  # pyright: ignore[reportMissingImports]
from transformers import GPT2Config, GPT2LMHeadModel, Qwen3Config, Qwen3ForCausalLM

from glassgpt.doctor import examine

T, ROWS, SEEDS, STEPS = 48, 8, 5, 4
MIN_CHANGE = 0.005
"""Smallest change of the loss, in nats, that kills a mutant."""


def text() -> torch.Tensor:
    file = Path(os.environ["GLASSGPT_DATA"]) / "tinyshakespeare.txt"
    letters = file.read_text("utf-8")
    known = sorted(set(letters))
    return torch.tensor([known.index(letter) for letter in letters])


def windows(ids: torch.Tensor, n: int, seed: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    starts = torch.randint(0, len(ids) - T, (n,), generator=generator)
    return torch.stack([ids[i : i + T] for i in starts.tolist()])


def make(name: str) -> Any:
    torch.manual_seed(0)
    tokens = {"vocab_size": 65, "bos_token_id": None, "eos_token_id": None, "pad_token_id": None}
    if name == "gpt2":
        config = GPT2Config(n_embd=64, n_layer=2, n_head=4, n_positions=T, **tokens)
        config.resid_pdrop = config.embd_pdrop = config.attn_pdrop = 0.0
        config._attn_implementation = "eager"
        return GPT2LMHeadModel(config)
    config = Qwen3Config(
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        head_dim=16,
        max_position_embeddings=T,
        tie_word_embeddings=False,
        **tokens,
    )
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


def planted(model: Any, operator: str, value: Any) -> Any:
    return get_injector(operator, param_value=value)(model)


def killed(base: Any, operator: str, value: Any, ids: torch.Tensor, val: torch.Tensor) -> bool:
    """True if the bug changes the loss in the same direction in every seed, or the loss with a cache."""
    changes: list[float] = []
    for seed in range(SEEDS):
        losses: list[float] = []
        for faulty in (False, True):
            model = copy.deepcopy(base)
            with planted(model, operator, value) if faulty else contextlib.nullcontext():
                train(model, ids, STEPS, 3e-4, seed)
                losses.append(held_out(model, val))
        changes.append(losses[1] - losses[0])
    if all(c > MIN_CHANGE for c in changes) or all(c < -MIN_CHANGE for c in changes):
        return True
    if not all(c == c for c in changes):
        return True
    model = copy.deepcopy(base)
    one = with_cache(model, val[:2])
    with planted(model, operator, value):
        other = with_cache(model, val[:2])
    return not abs(one - other) < MIN_CHANGE


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


def trained(name: str, ids: torch.Tensor) -> Any:
    model = make(name)
    train(model, ids, 500, 2e-3, seed=1)
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--model", default="qwen3")
    parser.add_argument("--only", nargs="*", default=[])
    args = parser.parse_args()
    torch.set_num_threads(1)
    ids = text()
    train_ids, val = ids[: -len(ids) // 10], windows(ids[-len(ids) // 10 :], 32, 7)
    cache = args.out.with_suffix(".pt")
    base = make(args.model)
    if cache.exists():
        base.load_state_dict(torch.load(cache, weights_only=True))
    else:
        base = trained(args.model, train_ids)
        torch.save(base.state_dict(), cache)
    base.eval()
    batch = windows(train_ids, 16, 99)
    rows: list[dict[str, Any]] = []
    rows.append({"operator": None, "loss": held_out(base, val), **examined(copy.deepcopy(base), batch)})
    print(rows[-1], flush=True)
    for operator in OPERATORS.values() if isinstance(OPERATORS, dict) else OPERATORS:
        if operator.scope == "encoder" or (args.only and operator.op_id not in args.only):
            continue
        for value in operator.param_grid[1:2] or operator.param_grid or (None,):
            row: dict[str, Any] = {
                "operator": operator.op_id,
                "value": value,
                "category": operator.component.value,
                "cause": operator.root_cause,
            }
            try:
                model = copy.deepcopy(base)
                with planted(model, operator.op_id, value):
                    row["loss"] = held_out(model, val)
                    row["killed"] = args.only != [] or killed(base, operator.op_id, value, train_ids, val)
                    if row["killed"]:
                        row |= examined(model, batch)
            except Exception as error:
                row["error"] = f"{type(error).__name__}: {error}"[:150]
            rows.append(row)
            print(row, flush=True)
            args.out.write_text(json.dumps(rows, indent=1), "utf-8")


if __name__ == "__main__":
    main()
