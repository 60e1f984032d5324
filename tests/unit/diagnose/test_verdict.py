"""One sentence for each case, and the dividing lines between them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

import glassgpt.explain
from glassgpt.diagnose import Accuracy, Score, Verdict, judge
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
            ["beats every baseline", "0.12 ± 0.01 better than a table of counted 7-grams", "4.1 characters"],
        ),
        (1.525, "unclear", ["too close to tell", "better than a table of counted 7-grams", "chance"]),
        (
            1.88,
            "warn",
            ["worse than a table of counted 7-grams", "better than a table of counted trigrams", "0.36"],
        ),
        (1.60, "warn", ["worse than a table of counted 7-grams", "better than the file compressor xz"]),
        (3.9, "warn", ["better than a uniform guess"]),
        (4.17, "fail", ["no better than a uniform guess", "train longer"]),
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


@pytest.mark.parametrize(
    ("loss", "outcome"),
    [(1.40, "better"), (1.525, "too close to tell"), (1.515, "too close to tell"), (4.2, "worse")],
)
def test_the_margin_says_how_sure_it_is(loss: float, outcome: str) -> None:
    stored = judge(baselines(), score("this model", loss)).to_dict()["margin"]
    assert stored["outcome"] == outcome and stored["over"] == "7-gram"
    assert stored["lead"] == pytest.approx(1.52 - loss)
    assert stored["low"] < stored["lead"] < stored["high"]
    assert (stored["low"] > 0, stored["high"] < 0) == (outcome == "better", outcome == "worse")


def test_a_lead_on_a_short_text_may_be_chance() -> None:
    """0.1 nats are better on 100,000 characters, and too close to tell on 1,000."""
    found = [judge(baselines(n), score("this model", 1.42, n)).margin for n in (1_000, N)]
    assert [margin.outcome for margin in found if margin] == ["too close to tell", "better"]


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
    assert found.margin is None and found.to_dict()["margin"] is None


def test_through_json_and_back() -> None:
    for model in (None, score("this model", 1.4)):
        found = judge(baselines(), model)
        assert Verdict.from_dict(json.loads(json.dumps(found.to_dict()))) == found


@pytest.mark.parametrize("loss", [math.nan, math.inf])
def test_a_loss_that_is_no_number(loss: float) -> None:
    with pytest.raises(UserError, match="lower learning rate"):
        judge(baselines(), score("this model", loss))


def test_baselines_of_another_kind_are_refused() -> None:
    with pytest.raises(UserError, match="no baselines of the model's kind"):
        judge(baselines(), Accuracy("this model", 3, 4))
    with pytest.raises(UserError, match="no baselines of the model's kind"):
        judge([], score("this model", 1.0))


RUNS = Path(__file__).parents[2] / "golden"
SHIPPED = Path(glassgpt.explain.__file__).parent / "runs"


def test_losses_of_format_1_are_read_with_their_kinds() -> None:
    stored = json.loads((RUNS / "format-1/run/verdict.json").read_text("utf-8"))
    found = Verdict.from_dict(stored)
    assert isinstance(found.model, Score) and found.model.name == "this model"
    assert [row.name for row in found.rows] == [row["name"] for row in stored["scores"]]
    assert found.scores == found.rows and found.accuracies == ()
    kinds = {row.name: row.kind for row in found.baselines}
    assert kinds == {
        "xz": "compressor",
        "5-gram": "ngram",
        "trigram": "ngram",
        "bigram": "ngram",
        "unigram": "ngram",
        "uniform": "uniform",
    }
    assert found.finding and found.finding.outcome == stored["finding"]["verdict"]
    assert found.sentence == judge(found.baselines, found.model).sentence  # pyright: ignore
    assert Verdict.from_dict(found.to_dict()) == found


def test_the_baselines_of_format_1_have_no_model() -> None:
    found = Verdict.from_dict(json.loads((RUNS / "format-1/run/baselines.json").read_text("utf-8")))
    assert found.model is None and found.finding is None
    assert [row.kind for row in found.baselines].count("compressor") == 1


@pytest.mark.parametrize("name", ["dates", "scenes"])
def test_correct_answers_of_format_1_are_read(name: str) -> None:
    stored = json.loads((SHIPPED / name / "verdict.json").read_text("utf-8"))
    found = Verdict.from_dict(stored)
    assert isinstance(found.model, Accuracy) and found.without_source is not None
    assert found.without_source.kind == "source_hidden"
    if "rows" in stored:
        assert [row.name for row in found.rows] == [row["name"] for row in stored["rows"]]
        assert (
            found.model.n_correct == next(r for r in stored["rows"] if r["name"] == "this model")["n_right"]
        )
    assert {row.kind for row in found.baselines} <= {"copy", "most_frequent"}
    again = judge(
        [row for row in found.baselines if isinstance(row, Accuracy)],
        found.model,
        without_source=found.without_source,
        asked=found.asked,
        losses=found.losses,
    )
    assert again.sentence == found.sentence and again.rows == found.rows
    assert Verdict.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_the_model_is_a_field_whatever_its_name() -> None:
    found = judge(baselines(), score("uniform", 1.4))
    assert found.model and found.model.name == "uniform" and found.rows[0] is found.model
    assert Verdict.from_dict(found.to_dict()).model == found.model


def test_the_model_without_its_source_is_compared_like_a_baseline() -> None:
    table, hidden = Accuracy("table", 100, 1000), Accuracy("hidden", 600, 1000)
    model = Accuracy("model", 590, 1000)
    found = judge([table], model, without_source=hidden)
    assert found.finding and found.finding.expected == 0.6 and found.finding.outcome == "unclear"
    assert found.baselines == (table,) and found.rows == (hidden, model, table)


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"format": 3}, ValueError),
        ({"baselines": None}, TypeError),
        ({"baselines": [{}]}, ValueError),
        ({"finding": {"name": "x"}}, TypeError),
    ],
)
def test_a_damaged_verdict_is_an_error(change: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        Verdict.from_dict({**judge(baselines()).to_dict(), **change})


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (Score("x", 1.0, 2, 3), {"name": 1}),
        (Score("x", 1.0, 2, 3), {"total_nats": {}}),
        (Score("x", 1.0, 2, 3), {"total_nats": math.nan}),
        (Score("x", 1.0, 2, 3), {"n_chars": 0}),
        (Score("x", 1.0, 2, 3), {"n_bytes": "many"}),
        (Score("x", 1.0, 2, 3), {"kind": "unknown"}),
        (Accuracy("x", 1, 2), {"n": 10**400}),
        (Accuracy("x", 1, 2), {"n_correct": 3}),
        (Accuracy("x", 1, 2), {"figures": 7}),
    ],
)
def test_a_stored_row_has_its_types(row: Score | Accuracy, field: dict[str, object]) -> None:
    """A run may be a stranger's: a wrong row is an error where it is read, not where it is shown."""
    assert type(row).from_dict(row.to_dict()) == row
    with pytest.raises(ValueError, match=next(iter(field)) if "n_correct" not in field else "3 of 2"):
        type(row).from_dict(row.to_dict() | field)


def test_losses_and_answers_do_not_mix() -> None:
    stored = judge(baselines()).to_dict()
    stored["baselines"].append(Accuracy("x", 1, 2).to_dict())
    with pytest.raises(ValueError, match="mix losses and correct answers"):
        Verdict.from_dict(stored)


def test_a_model_that_is_no_better_than_its_baselines_guesses() -> None:
    frequent, right = Accuracy("the most frequent answer", 719, 3000), Accuracy("this model", 2981, 3000)
    chance = Accuracy("this model", 717, 3000)
    assert judge([frequent], right).guesses == ""
    assert judge([frequent]).guesses == ""
    assert (
        judge([frequent], chance).guesses
        == "on unseen questions, it is no better than the most frequent answer"
    )
    uniform, table = Score("uniform", 4174.4, 1000, 1000, kind="uniform"), Score("bigram", 2484.0, 1000, 1000)
    assert judge([uniform, table], Score("gpt", 3000.0, 1000, 1000)).guesses == ""
    guesses = judge([uniform, table], Score("gpt", 5000.0, 1000, 1000)).guesses
    assert guesses == "it predicts no better than a uniform guess among 65 characters"
