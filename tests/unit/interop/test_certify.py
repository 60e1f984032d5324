"""Comparison of generated tokens: equal, or apart where our own model is undecided."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from glassgpt.diagnose import Finding
from glassgpt.interop.certify import Tolerance, compare_greedy, greedy
from glassgpt.interop.source import ExportSource
from helpers.exports import random_source

STRICT = Tolerance(logit=1e-4, kl=1e-8)


class OneOther:
    """Our own model as the other program; token `at` of a text of `n_prompt` tokens differs."""

    def __init__(self, source: ExportSource, at: int, n_prompt: int = 8) -> None:
        self.source, self.place = source, n_prompt + at

    def greedy(self, ids: Sequence[int], n: int) -> list[int]:
        """Return our tokens, one of them changed."""
        found = greedy(self.source.model, ids, n)[0]
        if (i := self.place - len(ids)) >= 0:
            found[i] = (found[i] + 1) % self.source.tokenizer.n_vocab
        return found


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ExportSource:
    return random_source(tmp_path_factory.mktemp("run"))


def findings(source: ExportSource, at: int, limits: Tolerance, difference: float) -> list[Finding]:
    return [*compare_greedy(source, OneOther(source, at), limits, difference)]  # pyright: ignore[reportArgumentType]


def test_a_different_token_is_refused(source: ExportSource) -> None:
    (found,) = findings(source, 5, STRICT, difference=1e-6)
    assert found.observed == 5 and not found.is_healthy


def test_a_near_tie_is_told_and_the_rest_is_compared(source: ExportSource) -> None:
    prompt = source.windows[0][:8].tolist()
    margin = greedy(source.model, prompt, 56)[1][5]
    equal, ties = findings(source, 5, STRICT, difference=margin)
    assert equal.observed == 56 and equal.is_healthy
    assert ties.observed == "6" and ties.outcome == "unclear"
    (found,) = findings(source, 5, STRICT, difference=0.49 * margin)
    assert found.observed == 5 and not found.is_healthy


def test_rounded_weights_may_differ(source: ExportSource) -> None:
    (found,) = findings(source, 5, STRICT._replace(same_tokens=False), difference=10.0)
    assert found.observed == 5 and found.is_healthy
