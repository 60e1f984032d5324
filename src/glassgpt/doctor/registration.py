"""Checks of what a model is made of: registered weights, layers of their own, rows of tokens, logits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.model_parts import ModelParts
from glassgpt.doctor.probes import run_watched
from glassgpt.doctor.short_training import warm_up
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.language import N_


def _leaves(s: Subject) -> Iterator[Problem]:
    """Follow the graph of the loss to its leaves: each that learns must be a parameter."""
    with torch.enable_grad():
        loss = s.loss()
    if loss.grad_fn is None:
        raise Skip(N_("no parameter learns"))
    known = {id(p) for p in s.model.parameters()}
    lost = [leaf for leaf in _graph_leaves(loss) if id(leaf) not in known]
    if lost:
        yield Problem(
            "saving",
            N_("weights are not registered"),
            N_("{n} tensors learn, but are no parameters of the model", n=len(lost)),
            N_("use nn.Parameter and nn.ModuleList, not plain tensors and lists"),
        )
    shared = _shared(s.parts)
    if shared:
        yield Problem(
            "residual",
            N_("layers share their weights"),
            N_("{n} blocks hold the weights of an earlier one", n=len(shared)),
            N_("make a block for each layer: [Block() for _ in range(n)]"),
            shared[0],
        )


def _graph_leaves(loss: Tensor) -> list[Tensor]:
    """Return the tensors that a backward pass would give a gradient."""
    seen, todo, leaves = set[Any](), [loss.grad_fn], list[Tensor]()
    while todo:
        node = todo.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        leaf = getattr(node, "variable", None)
        if isinstance(leaf, Tensor):
            leaves.append(leaf)
        todo += [each for each, _ in node.next_functions]
    return leaves


def _shared(parts: ModelParts) -> list[str]:
    known: set[int] = set()
    shared: list[str] = []
    for block in parts.blocks:
        own = {id(p) for p in block.module.parameters()}
        if own and own <= known:
            shared.append(block.path)
        known |= own
    return shared


@torch.no_grad()
def _table(s: Subject) -> Iterator[Problem]:
    """Check that each token reads its own row of the embedding."""
    tables = [part for part in s.parts.embeddings if len(part.weight) >= s.n_vocab]
    if not tables:
        raise Skip(N_("no table of tokens was found"))
    tokens = s.tokens
    for _, given, _ in run_watched(s.model, {tables[0].path: tables[0].module}, s.logits)[:1]:
        if given is None or given.shape != tokens.shape or given.is_floating_point() or (tokens < 0).any():
            continue
        if len(given.unique()) < len(tokens.unique()):
            yield Problem(
                "embedding",
                N_("tokens share a vector"),
                N_("{n} tokens, {rows} rows", n=len(tokens.unique()), rows=len(given.unique())),
                N_("read the table at each token's own id, without clamping"),
                tables[0].path,
            )


@torch.no_grad()
def _outputs(s: Subject) -> Iterator[Problem]:
    """Check that logits are no probabilities, and not the same for all tokens."""
    if not s.predicts_tokens:
        raise Skip(N_("the model predicts classes"))
    logits = s.logits().float()
    if float(logits.min()) >= 0 and float((logits.sum(-1) - 1).abs().max()) < 1e-3:
        yield Problem(
            "output",
            N_("the logits are probabilities"),
            N_("they add up to 1, and none is negative"),
            N_("return raw scores: the loss takes the softmax"),
        )
    if len(s.tokens.unique()) > 1 and _is_constant(logits):
        with torch.enable_grad():
            warm_up(s)
        if _is_constant(s.logits().float()):
            yield Problem(
                "output",
                N_("the logits do not depend on the input"),
                N_("they are the same at all positions"),
                N_("look for a factor of zero, a detached part, or a head that is not used"),
            )


def _is_constant(logits: Tensor) -> bool:
    flat = logits.flatten(0, 1)
    return bool((flat - flat[:1]).abs().max() <= 1e-6 * (1 + flat.abs().max()))


LEAVES = Check(
    N_("registered weights"),
    N_("each that learns is a parameter, in one layer"),
    N_("others are not saved, and not in the optimizer"),
    _leaves,
)
TABLE = Check(
    N_("rows of tokens"), N_("a row for each token"), N_("tokens with one vector are one token"), _table
)
OUTPUTS = Check(
    N_("logits"), N_("raw scores that depend on the text"), N_("the loss takes their softmax"), _outputs
)
CHECKS = (OUTPUTS, TABLE, LEAVES)
