"""Facts about a text: its lengths, its counted losses, and its tokens with each tokenizer."""

from __future__ import annotations

import numpy as np
import pytest

import glassgpt.train.autopilot.facts as module
from glassgpt.data import Corpus
from glassgpt.diagnose import baselines
from glassgpt.tokenizers import BpeTokenizer
from glassgpt.train.autopilot import TextFacts
from glassgpt.train.autopilot.facts import count_parts

TEXT = " ".join(f"{n} geese and {n % 7} swans go by the old mill at {n % 24} o'clock." for n in range(3000))


def test_the_first_merges_are_a_smaller_tokenizer() -> None:
    large, small = (BpeTokenizer.train([TEXT], size) for size in (600, 300))
    assert large.first_merges(300).encode(TEXT[:999]) == small.encode(TEXT[:999])
    assert large.first_merges(300).n_vocab == 300


def test_facts_of_a_text() -> None:
    corpus = Corpus.from_text(TEXT)
    scores = baselines(corpus)
    facts = TextFacts.of(corpus, scores, [270, 300])
    assert facts.n_chars == corpus.train.n_chars and facts.n_val_chars == corpus.val.n_chars
    assert facts.best == min(score.nats_per_char for score in scores if score.kind == "ngram")
    assert facts.uniform > facts.unigram > facts.counted[0][1] > facts.best
    assert facts.tokens["char", 0].per_char == facts.tokens["byte", 0].per_char == 1
    assert facts.tokens["bpe", 300].per_char < facts.tokens["bpe", 270].per_char < 0.95


def test_the_counted_curve_falls_to_the_best_table() -> None:
    corpus = Corpus.from_text(TEXT)
    facts = TextFacts.of(corpus, baselines(corpus), [300])
    assert [n for n, _ in facts.counted] == [32_000]
    curve = [facts.counted_at(n) for n in (1_000, 32_000, 60_000, corpus.train.n_chars, 10**9)]
    assert curve == sorted(curve, reverse=True) and curve[0] == curve[1] and curve[-1] == facts.best


def test_a_short_text_has_no_large_vocabulary() -> None:
    corpus = Corpus.from_text(TEXT[:3000])
    facts = TextFacts.of(corpus, baselines(corpus))
    assert max(size for _, size in facts.tokens) < 4096


@pytest.mark.parametrize("text", [TEXT, TEXT[:3000], "añ— " * 300])
def test_the_profile_adds_up_to_the_text(text: str) -> None:
    corpus = Corpus.from_text(text)
    _, profile = count_parts(corpus)
    assert profile is not None
    whole = profile.nats(np.array([0]), np.array([corpus.val.n_bytes]))
    assert whole / corpus.val.n_chars == pytest.approx(profile.nats_per_char)
    half = corpus.val.n_bytes // 2
    assert profile.nats(np.array([0, half]), np.array([half, corpus.val.n_bytes])) == pytest.approx(whole)


def test_a_very_long_held_out_text_has_no_profile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_PROFILED", 100)
    assert count_parts(Corpus.from_text(TEXT))[1] is None
