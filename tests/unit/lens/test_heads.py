"""Heads in words: the shares of their attention, and their role."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from glassgpt.checkpoint import Run
from glassgpt.cli.view.trace_tables import output_line
from glassgpt.explain.context import BUILTIN
from glassgpt.lens import HeadSummary, Trace, describe_heads, trace

TOKENS = tuple("xabcyabcab")
COPIES = {5: 1, 6: 2, 7: 3, 8: 5, 9: 6}
"""An earlier place of the same token, by position."""


def attending(places: dict[int, int], rest: int = 0) -> Tensor:
    """Return weights (T, T) of a head that looks at one place for each query; at `rest` for the others."""
    T = len(TOKENS)
    weights = torch.zeros(T, T)
    for query in range(T):
        weights[query, places.get(query, rest)] = 1
    return weights


def summary(weights: Tensor, tokens: tuple[str, ...] = TOKENS, **more: object) -> HeadSummary:
    path = more.pop("path", "blocks.0.attn")
    seen = replace(Trace({f"{path}.weights": weights[None]}, tokens), **more)  # pyright: ignore
    return describe_heads(seen)[0]


def test_a_head_that_looks_at_earlier_copies() -> None:
    found = summary(attending(COPIES))
    assert found.role == "copy" and found.copy == 1 and found.induction == 0 and found.n_copy == 5


def test_a_head_that_looks_at_what_followed_a_copy() -> None:
    found = summary(attending({query: copy + 1 for query, copy in COPIES.items()}))
    assert found.role == "induction" and found.induction == 1 and found.copy == 0 and found.n_induction == 5


def test_neighbors_do_not_count_as_copies() -> None:
    """In "aaaa", a head that looks at the previous position does that, and copies nothing."""
    found = summary(torch.eye(6).roll(1, 0).tril(), tuple("aaaaaa"))
    assert found.role == "previous" and found.copy == 0


def test_two_copies_say_nothing_about_a_head() -> None:
    tokens = tuple("xabcdefgab")
    found = summary(attending({8: 1, 9: 2}, rest=4), tokens)
    assert found.copy == 1 and found.n_copy == 2 and found.role == "place" and found.place == 4


def test_a_head_of_an_encoder_looks_ahead() -> None:
    found = summary(torch.eye(10).roll(-1, 0), config={"family": "encoder"})
    assert found.role == "next" and found.next == pytest.approx(8 / 9)  # the last one has no next
    assert summary(attending({})).next is None  # a causal mask hides it


def test_cross_attention_copies_the_token_that_it_writes() -> None:
    weights = torch.eye(3, 5)
    found = summary(
        weights,
        ("<bos>", "1", "9"),
        path="blocks.0.cross_attn",
        next_tokens=tuple("199"),
        source=tuple("19x9y"),
    )
    assert found.copy == pytest.approx(2 / 3) and found.n_copy == 3 and found.role == "copy"
    assert found.previous is found.itself is found.induction is None


def test_a_head_that_looks_everywhere_is_mixed() -> None:
    T = len(TOKENS)
    even = torch.ones(T, T).tril() / torch.arange(1, T + 1)[:, None]
    assert summary(even).role == "mixed"


def slow_shares(weights: Tensor, tokens: tuple[str, ...], causal: bool) -> dict[str, float]:
    """Compute copy and induction pair by pair, from their definitions."""
    T, sums = len(tokens), {"copy": [], "induction": []}
    for i in range(1, T):
        reach = range(i + 1 if causal else T)
        copies = [j for j in reach if tokens[j] == tokens[i] and abs(i - j) > 1]
        after = [j for j in reach if j and tokens[j - 1] == tokens[i] and j - 1 != i and abs(i - j) > 1]
        for name, keys in (("copy", copies), ("induction", after)):
            if keys:
                sums[name].append(sum(weights[i, j].item() for j in keys))
    return {name: sum(each) / len(each) for name, each in sums.items()}


@pytest.mark.parametrize("family", ["gpt", "encoder"])
def test_shares_are_those_of_their_definitions(family: str) -> None:
    tokens = tuple("abacabadabacabad")
    weights = torch.rand(16, 16, generator=torch.Generator().manual_seed(0))
    weights = weights.tril() if family == "gpt" else weights
    weights /= weights.sum(-1, keepdim=True)
    found = summary(weights, tokens, config={"family": family})
    expected = slow_shares(weights, tokens, family == "gpt")
    assert {name: getattr(found, name) for name in expected} == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("name", ["text", "dates", "scenes"])
def test_every_head_of_a_run_is_described(name: str) -> None:
    from glassgpt.explain import held_out_prompt

    run = Run.open(BUILTIN / name)
    seen = trace(run.model(), run.tokenizer(), **held_out_prompt(run.path))
    heads = describe_heads(seen)
    assert len(heads) == sum(len(seen.tensors[f"{path}.weights"]) for path in seen.attentions)
    for each in heads:
        shares = (
            each.itself,
            each.previous,
            each.next,
            each.first,
            each.copy,
            each.induction,
            each.place_share,
        )
        assert all(share is None or -1e-6 <= share <= 1 + 1e-6 for share in shares)
        assert (each.previous is None) == each.attention.endswith("cross_attn")


def test_the_next_token_stands_between_quotes() -> None:
    run = Run.open(BUILTIN / "text")
    line = output_line(trace(run.model(), run.tokenizer(), "the first argument")).plain
    assert re.fullmatch(r"next token  “.+” \d+%\s*", line)
