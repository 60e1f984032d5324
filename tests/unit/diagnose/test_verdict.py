"""One sentence for each case, and the dividing lines between them."""

from __future__ import annotations

import json
import math

import pytest

from glassgpt.diagnose import Score, Verdict, judge
from glassgpt.errors import UserError

N = 100_000  # differences up to 0.0126 nats are chance


def score(name: str, nats_per_char: float, n: int = N) -> Score:
    kind = {"uniform": "uniform", "xz": "compressor", "this model": "other", "coin": "other"}
    return Score(name, nats_per_char * n, n, n * 3, kind=kind.get(name, "ngram"))


def baselines(n: int = N) -> list[Score]:
    figures = {"uniform": 4.17, "unigram": 3.35, "bigram": 2.48, "trigram": 2.04, "7-gram": 1.52, "xz": 1.75}
    return [score(name, nats, n) for name, nats in figures.items()]


def test_units() -> None:
    one = score("coin", math.log(2))
    assert one.bits_per_char == pytest.approx(1)
    assert one.bits_per_byte == pytest.approx(1 / 3)
    assert one.perplexity_per_char == pytest.approx(2)


@pytest.mark.parametrize(
    ("loss", "outcome", "says"),
    [
        (
            1.40,
            "ok",
            ["beats every baseline", "0.12 better than a table of counted 7-grams", "4.1 characters"],
        ),
        (1.525, "unclear", ["as good as a table of counted 7-grams", "chance"]),
        (
            1.88,
            "warn",
            ["worse than a table of counted 7-grams", "better than a table of counted trigrams", "0.36"],
        ),
        (1.60, "warn", ["worse than a table of counted 7-grams", "better than the file compressor xz"]),
        (3.9, "warn", ["better than a uniform guess"]),
        (4.17, "fail", ["no better than a uniform guess", "learning rate"]),
        (9.0, "fail", ["no better than a uniform guess"]),
    ],
)
def test_what_is_said_of_a_model(loss: float, outcome: str, says: list[str]) -> None:
    found = judge(baselines(), score("this model", loss))
    assert found.finding and found.finding.outcome == outcome
    assert found.finding.observed == pytest.approx(loss)
    assert found.finding.expected == pytest.approx(1.52)
    for words in says:
        assert words in found.sentence
    assert found.sentence.endswith(".") and found.sentence.count(". ") == 0


def test_ranked_best_first() -> None:
    names = [s.name for s in judge(baselines(), score("this model", 1.6)).scores]
    assert names == ["7-gram", "this model", "xz", "trigram", "bigram", "unigram", "uniform"]


def test_without_a_model_it_says_what_to_beat() -> None:
    found = judge(baselines(), None)
    assert found.finding is None
    assert "below 1.520 nats per character" in found.sentence
    assert "4.6 characters" in found.sentence


@pytest.mark.parametrize("model", [None, score("this model", 1.0, 300)])
def test_too_little_text_is_not_ranked_in_words(model: Score | None) -> None:
    found = judge(baselines(300), model)
    assert "too short for a ranking" in found.sentence
    assert found.finding is None or found.finding.outcome == "unclear"


def test_through_json_and_back() -> None:
    for model in (None, score("this model", 1.4)):
        found = judge(baselines(), model)
        assert Verdict.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number(loss: float) -> None:
    with pytest.raises(UserError, match="lower learning rate"):
        judge(baselines(), score("this model", loss))
