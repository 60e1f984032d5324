"""One sentence for each case of a model that answers, and the baselines it is measured by."""

from __future__ import annotations

import json
import math
import random
import sys

import numpy as np
import pytest

from glassgpt.diagnose import (
    Accuracy,
    Verdict,
    bleu,
    copy_source,
    exact_answers,
    judge,
    most_frequent,
    most_frequent_per_question,
    ngram_classifier,
    target_ngram,
)
from glassgpt.diagnose import answer_baselines as module
from glassgpt.diagnose.accuracy import share_interval
from glassgpt.diagnose.curve import Trend
from glassgpt.errors import UserError

N = 3000  # differences up to 2.4 points are chance around 70 %
TABLE = Accuracy("the most frequent answer to each question", 2100, N)
GUESS = Accuracy("the most frequent answer", 930, N)


@pytest.mark.parametrize(
    ("n_correct", "outcome", "says"),
    [
        (
            2916,
            "ok",
            ["The model answers 97.2 % of 3,000 unseen questions exactly", "question alone", "70.0 %"],
        ),
        (
            2140,
            "unclear",
            [
                "71.3 %",
                "too close to tell, as differences up to 2.4 percentage points are chance",
                "more examples",
            ],
        ),
        (2060, "unclear", ["are chance"]),
        (1500, "warn", ["more than the most frequent answer alone would get (31.0 %)", "question (70.0 %)"]),
        (940, "fail", ["no better than the worst baseline: the most frequent answer alone", "train longer"]),
        (0, "fail", ["0.0 %"]),
        (2999, "ok", ["99.9 %"]),
        (3000, "ok", ["100.0 %"]),
    ],
)
def test_what_is_said_of_a_model(n_correct: int, outcome: str, says: list[str]) -> None:
    found = judge([GUESS, TABLE], Accuracy("this model", n_correct, N))
    assert found.finding and found.finding.outcome == outcome
    assert found.finding.observed == n_correct / N
    assert found.finding.expected == 0.7
    for words in says:
        assert words in found.sentence
    assert found.sentence.endswith(".") and found.sentence.count(". ") == 0


def test_ranked_best_first() -> None:
    model = Accuracy("this model", 1500, N)
    assert judge([GUESS, TABLE], model).rows == (TABLE, model, GUESS)


def test_few_answers_prove_little() -> None:
    def outcome(right: int, other: int, n: int) -> str:
        found = judge([Accuracy("guess", other, n)], Accuracy("this model", right, n)).finding
        return found.outcome if found else ""

    assert outcome(7, 4, 10) == "unclear"
    assert outcome(10, 0, 10) == "ok"
    assert outcome(1, 0, 1) == "unclear"
    assert outcome(700, 400, 1000) == "ok"


def test_a_model_that_answers_all_right_gets_no_advice() -> None:
    flat = Trend("flat", n_evals=4, best_step=4, last_step=4, best=0.1, last=0.1, epochs=3.0, train=0.1)
    rows = [Accuracy("guess", N, N)]
    for n, advised in ((N, False), (N - 1, True)):
        found = judge(rows, Accuracy("this model", n, N), trend=flat)
        assert ("take a larger model" in found.sentence) is advised, found.sentence


def test_chance_is_two_standard_deviations() -> None:
    rng = np.random.default_rng(0)
    right = rng.binomial(200, [[0.6], [0.5]], size=(2, 20_000)) / 200
    want = 2 * float(np.std(right[0] - right[1]))
    assert share_interval(Accuracy("a", 120, 200), Accuracy("b", 100, 200)) == pytest.approx(want, rel=0.02)


def translation(name: str, n_correct: int, score: float | None) -> Accuracy:
    return Accuracy(name, n_correct, 1000, figures={} if score is None else {"BLEU": score})


@pytest.mark.parametrize(
    ("score", "outcome", "says"),
    [
        (33.1, "ok", ["get 33.1 BLEU; copying the source alone would get 0.5 BLEU"]),
        (2.0, "unclear", ["differences up to 2.5 BLEU are chance"]),
    ],
)
def test_translations_are_compared_by_bleu(score: float, outcome: str, says: list[str]) -> None:
    other = translation("without figures", 3, None)
    copied = translation("copying the source", 2, 0.5)
    found = judge([other, copied], translation("this model", 60, score), asked="sentences")
    assert found.finding and found.finding.outcome == outcome and found.finding.name == "BLEU"
    assert found.finding.expected == 0.5
    assert [row.name for row in found.rows] == ["this model", "copying the source", "without figures"]
    for words in ["to 1,000 unseen sentences", *says]:
        assert words in found.sentence


def test_the_worst_baseline_by_bleu_is_one_that_has_it() -> None:
    rows = [translation("without figures", 3, None), translation("copying the source", 2, 20.0)]
    found = judge(rows, translation("this model", 0, 1.0))
    assert "no better than the worst baseline: copying the source" in found.sentence


@pytest.mark.parametrize(("n_correct", "score"), [(60, None), (400, 33.1)])
def test_not_by_bleu_where_it_is_missing_or_exact_answers_are_common(
    n_correct: int, score: float | None
) -> None:
    found = judge([translation("copy", 2, 0.5)], translation("this model", n_correct, score))
    assert found.finding and found.finding.observed == n_correct / 1000


def test_without_a_model_it_says_what_to_beat() -> None:
    found = judge([GUESS, TABLE], asked="reviews")
    assert found.finding is None
    assert "above 70.0 % on 3,000 unseen reviews, which the most frequent answer to each" in found.sentence


def test_through_json_and_back() -> None:
    for model in (None, Accuracy("this model", 2916, N, "greedy", {"BLEU": 33.1})):
        found = judge([GUESS, TABLE], model, asked="reviews")
        assert Verdict.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_exact_means_exact() -> None:
    found = exact_answers("some", ["red", "Red", "red ", "2"], ["red", "red", "red", "2"])
    assert (found.n_correct, found.n, found.share) == (2, 4, 0.5)
    assert copy_source(["Hut", "Hand", "Arm"], ["hat", "Hand", "arm"]).n_correct == 1


def test_most_frequent() -> None:
    found = most_frequent(["b", "a", "a", "c"], ["a", "b", "a"])
    assert (found.n_correct, found.n, found.detail) == (2, 3, "always “a”")


def test_most_frequent_per_question() -> None:
    train = [("color?", "red"), ("color?", "blue"), ("color?", "blue"), ("many?", "2"), ("any?", "blue")]
    val = [("color?", "blue"), ("color?", "red"), ("many?", "2"), ("new?", "blue"), ("new?", "2")]
    questions, targets = zip(*train, strict=True)
    found = most_frequent_per_question(questions, targets, *zip(*val, strict=True))
    assert (found.n_correct, found.n, found.detail) == (3, 5, "2 of 5 questions are not in training")


def words(letters: str, n: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return ["".join(rng.choices(letters, k=rng.randint(2, 6))) for _ in range(n)]


def test_classes_are_told_apart_by_their_letters() -> None:
    train, val = (
        [*words("aabc", 300, 0), *words("bccd", 300, 1)],
        [*words("aabc", 99, 2), *words("bccd", 99, 3)],
    )
    found = ngram_classifier(train, ["x"] * 300 + ["y"] * 300, val, ["x"] * 99 + ["y"] * 99)
    assert found.share > 0.9
    wrong = ngram_classifier(train, ["x"] * 300 + ["y"] * 300, val, ["y"] * 99 + ["x"] * 99)
    assert wrong.n_correct == found.n - found.n_correct


def test_a_class_weighs_as_often_as_it_occurs() -> None:
    texts = words("ab", 1000, 0)
    labels = ["rare" if i % 10 == 0 else "common" for i in range(1000)]
    assert ngram_classifier(texts, labels, words("ab", 50, 1), ["common"] * 50).share > 0.9


def test_texts_begin_and_end() -> None:
    found = ngram_classifier(["ab", "ba"] * 100, ["x", "y"] * 100, ["ab", "ba", "ab"], ["x", "y", "x"])
    assert found.share == 1


def test_texts_do_not_see_their_neighbors() -> None:
    alternating, blocks = ["q", "b"] * 50, ["b"] * 60 + ["q"] * 40
    train, labels = [*alternating, *blocks], ["x"] * 100 + ["y"] * 100
    assert ngram_classifier(train, labels, ["q", "b"], ["x", "y"]).share == 1


def test_batches_give_what_the_whole_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 25)
    train, val = words("abcd", 50, 0), words("abcd", 30, 1)
    pieces = [np.array([ord(char) for char in text + "\n" * 4]) for text in val]
    before = np.array([10, 10, 10, 10])
    model = module.NGram(np.array([ord(char) for char in "".join(train)]), 256, range(1, 6))
    want = -np.log(model.probabilities(np.concatenate([before, *pieces]), 4)[5])
    ends = np.cumsum([0, *map(len, pieces)])
    got = list(module._losses(model, pieces, before))
    for cost, start, end in zip(got, ends[:-1], ends[1:], strict=True):
        assert cost == pytest.approx(want[start:end].sum())


def test_much_text_is_cut_and_the_reader_told(monkeypatch: pytest.MonkeyPatch) -> None:
    train = [text * 50 for text in [*words("aabc", 40, 0), *words("bccd", 40, 1)]]
    labels = ["x"] * 40 + ["y"] * 40
    monkeypatch.setattr(module, "MAX_PREDICTIONS", 80 * 2 * 120)
    found = ngram_classifier(train, labels, train, labels, max_chars=4000)
    assert "one training text in " in found.detail
    assert "the first 120 characters are read" in found.detail
    assert found.share > 0.75


def test_the_targets_alone() -> None:
    coin = random.Random(0)
    train, val = ([coin.choice(["ja", "nein"]) for _ in range(n)] for n in (4000, 1000))
    found = target_ngram(train, val)
    assert found.n_chars == sum(len(answer) + 1 for answer in val)
    assert found.total_nats == pytest.approx(1000 * math.log(2), rel=0.02)  # one coin toss a target
    accented = target_ngram(["né"] * 20, ["né", "ñ"])
    assert (accented.n_chars, accented.n_bytes) == (5, 7)
    assert math.isfinite(accented.total_nats)
    assert "counted on the last 500 characters" in target_ngram(train, val, max_chars=500).detail


def test_nothing_to_measure_on_or_to_count() -> None:
    with pytest.raises(UserError, match="Hold out at least one"):
        most_frequent(["a"], [])
    with pytest.raises(UserError, match="Hold out at least one"):
        ngram_classifier(["a"], ["x"], [], [])
    with pytest.raises(UserError, match="Give at least one"):
        most_frequent([], ["a"])
    with pytest.raises(UserError, match="Give at least one"):
        ngram_classifier([], [], ["a"], ["x"])
    with pytest.raises(UserError, match="0 to measure on"):
        target_ngram(["a"], [])


def test_bleu(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("sacrebleu", reason="BLEU is sacrebleu's")
    right = ["a man walks his dog along the beach", "two girls eat ice cream in the sun"]
    assert bleu(right, right) == pytest.approx(100)
    near = bleu(["a man walks a dog along the beach", right[1]], right)
    assert near is not None and 60 < near < 95
    assert exact_answers("none", ["x", "y"], right).figures == {"BLEU": 0.0}
    assert exact_answers("all", right, right).figures == {}
    assert bleu(["red"], ["blue"]) is None
    monkeypatch.setitem(sys.modules, "sacrebleu", None)
    assert bleu(right, right) is None
