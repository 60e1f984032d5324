"""Baselines of real and of ugly text."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections.abc import Sequence
from functools import partialmethod
from pathlib import Path

import numpy as np
import pytest

from glassgpt.data import Corpus, Text
from glassgpt.diagnose import NGram, Score, baselines
from glassgpt.diagnose.text_baselines import Limits, last_text, sum_losses
from glassgpt.diagnose.xz import compressed_size, xz_score
from glassgpt.tokenizers import CharTokenizer


def scores_of(text: str, **limits: Limits) -> dict[str, Score]:
    return {score.name: score for score in baselines(Corpus.from_text(text), **limits)}


def sentences(n_chars: int, words: Sequence[str], seed: int = 0, space: str = " ") -> str:
    """Text in which words repeat and their order is chance."""
    rng = random.Random(seed)
    parts: list[str] = []
    while sum(map(len, parts)) < n_chars:
        parts.append(space.join(rng.choices(words, k=200)) + ".\n")
    return "".join(parts)[:n_chars]


ENGLISH = "the of and to in is that it was for on are as with his they at be this have from or had by".split()


def test_tinyshakespeare(shakespeare_file: Path) -> None:
    scores = scores_of(shakespeare_file.read_text("utf-8"))
    assert list(scores) == ["uniform", "unigram", "bigram", "trigram", "7-gram", "xz"]
    assert scores["uniform"].nats_per_char == pytest.approx(math.log(65))
    assert scores["unigram"].nats_per_char == pytest.approx(3.347, abs=0.005)
    assert scores["bigram"].nats_per_char == pytest.approx(2.484, abs=0.005)
    assert scores["trigram"].nats_per_char == pytest.approx(2.039, abs=0.005)
    assert scores["7-gram"].nats_per_char == pytest.approx(1.517, abs=0.002)  # Witten–Bell 5-gram: 1.669
    assert scores["xz"].nats_per_char == pytest.approx(1.745, abs=0.02)
    assert "order" in scores["7-gram"].detail


def test_all_are_measured_on_the_same_text() -> None:
    corpus = Corpus.from_text(sentences(20_000, ENGLISH))
    for score in baselines(corpus):
        assert (score.n_chars, score.n_bytes) == (corpus.val.n_chars, corpus.val.n_bytes)


def test_chinese_with_six_thousand_characters() -> None:
    characters = [chr(0x4E00 + i) for i in range(6000)]
    rng = random.Random(0)
    words = ["".join(rng.choices(characters, k=2)) for _ in range(20_000)]
    text = "".join(characters) + sentences(60_000, words, space="")
    corpus = Corpus.from_text(text)
    scores = {score.name: score for score in baselines(corpus)}
    assert corpus.val.n_bytes > 2.9 * corpus.val.n_chars
    assert scores["uniform"].nats_per_char == pytest.approx(math.log(6002), abs=0.01)
    assert scores["bigram"].nats_per_char < scores["unigram"].nats_per_char
    assert scores["bigram"].bits_per_byte == pytest.approx(scores["bigram"].bits_per_char / 3, rel=0.01)


def test_characters_that_training_never_saw_cost_their_bytes() -> None:
    text = sentences(9_000, ENGLISH)
    train = text.replace("z", "")
    corpus = Corpus.from_text(train + "".join(f"{word} 詩 " for word in ENGLISH * 10)[:1_000])
    n_strange = corpus.val.read().count("詩")
    n_seen = len(set(corpus.train.read()))
    assert n_strange > 50 and "詩" not in corpus.train.read()
    expected = (1_000 + 2 * n_strange) * math.log(n_seen + 256)  # a distribution sums to 1
    for score in baselines(corpus):
        assert math.isfinite(score.total_nats)
        if score.name == "uniform":
            assert score.total_nats == pytest.approx(expected)


@pytest.mark.parametrize(
    "text",
    [
        sentences(1_000, ENGLISH),
        "a" * 1_000,
        "".join(chr(0x100 + i) for i in range(1_000)),  # no character twice
        "ab",
        "😀\u200d\x00\ufffe\u0301" * 300,
        "x" * 995 + "😀" * 5 + "\n" * 90,
    ],
    ids=["short", "one character", "none twice", "two characters", "strange", "unseen"],
)
def test_ugly_text_gives_finite_scores(text: str) -> None:
    scores = baselines(Corpus.from_text(text))
    assert [s.name for s in scores][:2] == ["uniform", "unigram"] and scores[-1].name == "xz"
    assert (scores[0].kind, scores[1].kind, scores[-1].kind) == ("uniform", "ngram", "compressor")
    assert all(math.isfinite(score.total_nats) and score.total_nats >= 0 for score in scores)
    assert len({score.name for score in scores}) == len(scores)


def test_the_chosen_order_is_named_once() -> None:
    chosen = [s for s in baselines(Corpus.from_text(sentences(30_000, ENGLISH))) if "predicts" in s.detail]
    assert len(chosen) == 1


def test_each_piece_continues_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    corpus = Corpus.from_text(sentences(4_000, ENGLISH))
    tokenizer = CharTokenizer.train(corpus.train.chunks())
    train, val = (tokenizer.encode_array(text.read()) for text in (corpus.train, corpus.val))
    model = NGram(train, tokenizer.n_vocab, orders=[1, 6])
    whole = model.probabilities(np.concatenate([train, val]), len(train))
    monkeypatch.setattr(Text, "chunks", partialmethod(Text.chunks, size=37))
    losses = sum_losses(model, tokenizer, corpus.val, train)
    assert losses.nats == pytest.approx({order: -np.log(p).sum() for order, p in whole.items()}, rel=1e-12)
    assert losses.n_known == len(val)


def test_a_long_text_is_cut_and_says_so() -> None:
    text = sentences(200_000, ["Ende", "für", "große", "Wörter", "日本"])
    scores = scores_of(text, limits=Limits(1 << 16, 1 << 22))
    assert "last 0.0625 MiB" in scores["bigram"].detail
    assert scores["bigram"].nats_per_char == pytest.approx(scores_of(text)["bigram"].nats_per_char, abs=0.05)


def test_the_end_of_a_text_begins_at_a_whole_character() -> None:
    train = Corpus.from_text("é詩😀" * 100).train
    whole = train.read()
    for n_bytes in range(1, 40):
        end = last_text(train, n_bytes)
        assert whole.endswith(end) and n_bytes - 3 <= len(end.encode()) <= n_bytes


def test_xz_knows_what_it_has_read() -> None:
    noise = "".join(random.Random(0).choices("abcdefghijklmnop", k=9_000))
    seen, unseen = Corpus.from_text(noise + noise[:1_000]), Corpus.from_text(noise + noise[::-1][:1_000])
    assert xz_score(seen.train, seen.val).bits_per_char < 0.3
    assert xz_score(unseen.train, unseen.val).bits_per_char == pytest.approx(4.1, abs=0.4)
    cut = xz_score(seen.train, seen.val, max_train_bytes=4096)
    assert cut.bits_per_char > 3 and "its last" in cut.detail


def test_sizes_of_nothing_and_of_little() -> None:
    assert 0 <= compressed_size(b"") < compressed_size(b"abc") < 40


def test_diagnose_does_not_import_torch() -> None:
    code = "import sys, glassgpt.diagnose; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
