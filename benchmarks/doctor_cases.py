"""Models and training loops to plant bugs in, healthy until then.

Four kinds of models: GlassGPT's, a file of plain torch after nanoGPT, one after Llama, and GPT-2 of
transformers. A `Bug` changes the model, its loss or its training step; `categories` names the parts that a
reader of the finding should look at.
"""

# Bugs change models in ways that types forbid.
# pyright: reportArgumentType=false, reportAttributeAccessIssue=false, reportCallIssue=false
# pyright: reportIndexIssue=false, reportOperatorIssue=false, reportOptionalCall=false
# pyright: reportOptionalMemberAccess=false, reportReturnType=false

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from doctor_llama import LlamaConfig, SmallLlama
from glassgpt.config import ModelConfig
from glassgpt.data import IGNORE
from glassgpt.models import build

sys.path.append(str(Path(__file__).parent.parent))  # for the small GPT of the tests

V, T = 65, 48
KINDS = ("glassgpt", "plain", "transformers")
ALL_KINDS = (*KINDS, "llama")


@dataclass
class Case:
    """A model with its training, healthy until a bug is planted."""

    kind: str
    model: nn.Module
    blocks: list[nn.Module]
    attn: list[nn.Module]
    mlp: list[nn.Module]
    norm: list[nn.Module]
    qkv: list[Tensor]
    """Matrices (3 C, C) of each block: queries, keys, values."""
    fc: list[Tensor]
    """Matrices of each MLP's first layer, hidden units first."""
    wte: nn.Embedding
    wpe: nn.Embedding | None
    last_norm: nn.Module
    head: nn.Linear
    logits: Callable[[nn.Module, Tensor], Tensor]
    lr: float = 1e-3
    step_kind: str = "healthy"
    loss: Any = None
    optimizer: Any = None
    frozen: list[str] = field(default_factory=list)
    make_step: Any = None
    """make_step(loss, optimizer) returns a training step; None for a usual one."""
    batch: Any = None


def make_case(kind: str, seed: int = 0) -> Case:
    """Build a small model of a kind, with random weights."""
    torch.manual_seed(seed)
    if kind == "glassgpt":
        model = build(ModelConfig(n_layer=2, n_embd=32, n_head=2, block_size=T, init="gpt2"), V)
        b = list(model.blocks)
        return Case(
            kind,
            model,
            b,
            [x.attn for x in b],
            [x.mlp for x in b],
            [x.norm_1 for x in b],
            [x.attn.qkv.weight for x in b],
            [next(x.mlp.parameters()) for x in b],
            model.wte,
            model.wpe if isinstance(model.wpe, nn.Embedding) else None,
            model.norm_f,
            model.lm_head,
            lambda m, t: m(t),
        )
    if kind == "plain":
        from tests.helpers.small_gpt import SmallGPT

        model = SmallGPT(V, T=T)
        b = list(model.h)
        return Case(
            kind,
            model,
            b,
            [x.attn for x in b],
            [x.mlp for x in b],
            [x.ln_1 for x in b],
            [x.attn.c_attn.weight for x in b],
            [x.mlp.c_fc.weight for x in b],
            model.wte,
            model.wpe,
            model.ln_f,
            model.lm_head,
            lambda m, t: m(t, t)[0],
        )
    if kind == "llama":
        model = SmallLlama(LlamaConfig(vocab_size=V, max_position_embeddings=T))
        b = list(model.layers)
        return Case(
            kind,
            model,
            b,
            [x.self_attn for x in b],
            [x.mlp for x in b],
            [x.input_norm for x in b],
            [],
            [x.mlp.up_proj.weight for x in b],
            model.embed_tokens,
            None,
            model.norm,
            model.lm_head,
            lambda m, t: m(t).logits,
        )
    from transformers import GPT2Config, GPT2LMHeadModel

    none = {
        "bos_token_id": None,
        "eos_token_id": None,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    }
    config = GPT2Config(vocab_size=V, n_embd=32, n_layer=2, n_head=2, n_positions=T, **none)
    config._attn_implementation = "eager"
    model = GPT2LMHeadModel(config)
    b = list(model.transformer.h)
    return Case(
        kind,
        model,
        b,
        [x.attn for x in b],
        [x.mlp for x in b],
        [x.ln_1 for x in b],
        [x.attn.c_attn.weight.T for x in b],
        [x.mlp.c_fc.weight.T for x in b],
        model.transformer.wte,
        model.transformer.wpe,
        model.transformer.ln_f,
        model.lm_head,
        lambda m, t: m(t).logits,
    )


def first(output: Any) -> Tensor:
    return output if isinstance(output, Tensor) else output[0]


def replaced(output: Any, value: Tensor) -> Any:
    return value if isinstance(output, Tensor) else (value, *output[1:])


def after(module: nn.Module, change: Callable[[Tensor, Tensor], Tensor]) -> None:
    """Change a module's output: change(output, input)."""

    def hook(_: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
        given = next((a for a in (*args, *kwargs.values()) if isinstance(a, Tensor)), first(output))
        return replaced(output, change(first(output), given))

    module.register_forward_hook(hook, with_kwargs=True)


def before(module: nn.Module, change: Callable[[Tensor], Tensor]) -> None:
    """Change a module's input."""

    def hook(_: nn.Module, args: Any) -> Any:
        return (change(args[0]), *args[1:])

    module.register_forward_pre_hook(hook)


@dataclass(frozen=True)
class Bug:
    name: str
    categories: frozenset[str]
    plant: Callable[[Case], None]
    kinds: tuple[str, ...] = KINDS


def bugs_into(bugs: list[Bug]) -> Callable[..., Callable[[Callable[[Case], None]], None]]:
    """Return a decorator that adds a function as a bug, named after it."""

    def bug(*categories: str, kinds: tuple[str, ...] = KINDS) -> Callable[[Callable[[Case], None]], None]:
        def add(plant: Callable[[Case], None]) -> None:
            bugs.append(Bug(plant.__name__.strip("_").replace("_", " "), frozenset(categories), plant, kinds))

        return add

    return bug


def with_loss(c: Case, compute: Callable[[Tensor, Tensor, Tensor], Tensor]) -> None:
    c.loss = lambda model, batch: compute(c.logits(model, batch[0]), batch[0], batch[1])


def cross_entropy(logits: Tensor, targets: Tensor, **options: Any) -> Tensor:
    return F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORE, **options)


def arrange(c: Case) -> tuple[Any, Any, Any]:
    """Return loss, train_step and optimizer of a case."""
    if c.loss is None:
        with_loss(c, lambda z, x, y: cross_entropy(z, y))
    loss = c.loss
    optimizer = c.optimizer or torch.optim.AdamW(
        [p for p in c.model.parameters() if p.requires_grad], lr=c.lr
    )
    if c.make_step is not None:
        return loss, c.make_step(loss, optimizer), optimizer
    old = tuple(part.roll(3, 1) for part in batch_of(5))

    def step(model: nn.Module, batch: Any) -> None:
        if c.step_kind != "no zero_grad":
            optimizer.zero_grad()
        if c.step_kind == "accumulate":
            for _ in range(4):
                loss(model, batch).backward()
        else:
            loss(model, old if c.step_kind == "old batch" else batch).backward()
        if c.step_kind == "zeroed too late":
            optimizer.zero_grad(set_to_none=False)
        if c.step_kind != "no step":
            optimizer.step()
        if c.step_kind == "moves frozen":
            with torch.no_grad():
                c.wte.weight.mul_(0.99)

    return loss, step, optimizer


def batch_of(seed: int) -> tuple[Tensor, Tensor]:
    """Return tokens with a pattern to learn, and the next tokens, of which the last five do not count."""
    generator = torch.Generator().manual_seed(seed)
    steps = torch.randint(1, 4, (8, T + 1), generator=generator)
    tokens = (torch.randint(0, V, (8, 1), generator=generator) + steps.cumsum(1)) % V
    targets = tokens[:, 1:].clone()
    targets[:, -5:] = IGNORE
    return tokens[:, :-1], targets
