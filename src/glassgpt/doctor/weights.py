"""Checks of the weights: matrices that hold nothing, tied tables, the size of the vocabulary."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from glassgpt.doctor.checks import Check, Problem
from glassgpt.doctor.model_parts import NamedModule, category_of
from glassgpt.doctor.subject import Skip, Subject
from glassgpt.language import N_

ZERO_AT_FIRST = re.compile(r"(^|[._])(c_proj|o_proj|out_proj|down_proj|proj)\.weight$")
"""Matrices that write to the residual stream: some initializations set them to zero."""


@torch.no_grad()
def _weights(s: Subject) -> Iterator[Problem]:
    """Name each cause once in each category, the category with most faulty numbers first."""
    found = list(_matrices(s))
    sizes, firsts = Counter[str](), dict[tuple[str, str], Problem]()
    for each in found:
        sizes[each.category] += s.model.get_parameter(each.where).numel()
        firsts.setdefault((each.category, each.cause), each)
    yield from sorted(firsts.values(), key=lambda each: -sizes[each.category])


def _matrices(s: Subject) -> Iterator[Problem]:
    """Look for matrices that hold nothing: zero, constant, or with zero or repeated rows."""
    adapted = any("lora" in name.lower() for name, _ in s.model.named_parameters())
    tables = {f"{part.path}.weight" for part in _tables(s)}
    for name, p in s.model.named_parameters():
        if isinstance(s.model.get_submodule(name.rpartition(".")[0]), nn.Embedding) and name not in tables:
            continue  # a table that few tokens reach
        if p.ndim != 2 or min(p.shape) < 4 or "lora" in name.lower():
            continue
        category = category_of(name)
        weight = p.detach().float()
        if len(weight) == s.n_vocab:
            if adapted and not p.requires_grad:
                continue  # the base run may not know the tokens of this text
            weight = weight[_used(s, name in tables)]
        if not weight.any():
            if s.is_fresh and not s.is_trained and (category == "output" or ZERO_AT_FIRST.search(name)):
                continue
            yield Problem(
                "projections" if category == "attention" else category,
                N_("a matrix is zero"),
                0.0,
                N_("initialize it with random weights"),
                name,
            )
            continue
        if float(weight.std()) < 1e-6 * float(weight.abs().max()):
            yield Problem(
                category,
                N_("a matrix is constant"),
                float(weight.mean()),
                N_("initialize it with random weights: equal rows learn the same"),
                name,
            )
            continue
        yield from _degenerate_rows(name, category, weight)


def _used(s: Subject, is_table: bool) -> Tensor:
    """Return the tokens whose rows learn from the batch: those read, or for a head those predicted.

    Rows of all others stay as they began, or move together.
    """
    tokens = s.data.tokens if is_table else s.data.targets
    return tokens[(tokens >= 0) & (tokens < s.n_vocab)].unique()


def _tables(s: Subject) -> list[NamedModule]:
    parts = s.parts
    tokens = [part for part in parts.embeddings if len(part.weight) == s.n_vocab]
    return [*tokens, *parts.positions]


def _degenerate_rows(name: str, category: str, weight: Tensor) -> Iterator[Problem]:
    """Count rows and columns that are zero or equal to another."""
    n_zero_rows = int((weight.abs().amax(1) == 0).sum())
    n_zero_columns = int((weight.abs().amax(0) == 0).sum())
    n, of = (n_zero_rows, len(weight)) if n_zero_rows else (n_zero_columns, weight.shape[1])
    where = "projections" if category == "attention" else category
    if n > (category in ("mlp", "attention")):
        yield Problem(
            where,
            N_("rows of a matrix are zero"),
            N_("{n} of {of}", n=n, of=of),
            N_("initialize every row with random weights, and do not switch units off"),
            name,
        )
        return
    if len(weight) <= 4096:
        n_equal = len(weight) - len(weight.unique(dim=0))
        if n_equal > max(1, len(weight) // 20):
            yield Problem(
                where,
                N_("rows of a matrix are equal"),
                N_("{n} of {of}", n=n_equal, of=len(weight)),
                N_("initialize every row with its own random weights"),
                name,
            )


@torch.no_grad()
def _ties(s: Subject) -> Iterator[Problem]:
    parts, stated = s.parts, s.setting("tie_embeddings", "tie_word_embeddings")
    if stated is None or parts.head is None or not parts.embeddings or not s.predicts_tokens:
        raise Skip(N_("the configuration does not say whether embedding and head are tied"))
    head, table = parts.head.weight, parts.embeddings[0].weight
    tied = head.data_ptr() == table.data_ptr()
    if bool(stated) != tied:
        yield Problem(
            "output",
            N_("embedding and head are not tied") if stated else N_("embedding and head are tied"),
            N_("two matrices") if stated else N_("one matrix"),
            N_("let both use the same parameter if the configuration says so, otherwise not"),
            parts.head.path,
        )


@torch.no_grad()
def _vocabulary(s: Subject) -> Iterator[Problem]:
    if not s.predicts_tokens:
        raise Skip(N_("the model predicts classes"))
    parts = s.parts
    n_classes = s.setting("vocab_size") or getattr(s.model, "n_vocab", None)
    n_rows = len(parts.embeddings[0].weight) if parts.embeddings else None
    top = max(int(s.data.tokens.max()), int(s.data.targets.max()))
    if top >= s.n_vocab or (isinstance(n_classes, int) and s.causal and n_classes != s.n_vocab):
        yield Problem(
            "output",
            N_("logits do not fit the vocabulary"),
            N_("{n} logits, {rows} tokens", n=s.n_vocab, rows=n_classes or top + 1),
            N_("give the head one output for each token"),
            outcome="fail",
        )
    elif n_rows is not None and n_rows < s.n_vocab and s.causal:
        yield Problem(
            "embedding",
            N_("tokens have no embedding"),
            N_("{n} rows, {rows} tokens", n=n_rows, rows=s.n_vocab),
            N_("give the embedding one row for each token"),
        )


WEIGHTS = Check(
    N_("weights"), N_("no matrix is empty or repeats rows"), N_("equal weights stay equal"), _weights
)
TIES = Check(N_("tied weights"), N_("as the configuration states"), N_("untied ones double the table"), _ties)
VOCABULARY = Check(
    N_("vocabulary"),
    N_("a logit and a row for each token"),
    N_("tokens without a logit cannot be predicted"),
    _vocabulary,
)

CHECKS = (VOCABULARY, WEIGHTS, TIES)
