"""The trend of a run, and the advice that follows from it: one curve of each shape."""

from __future__ import annotations

import json
import math

import pytest

from glassgpt.diagnose import Curve, Score, Verdict, judge, trend

N = 100_000


def rows(evals: dict[int, float], losses: dict[int, float], tokens: int = 1000) -> list[dict[str, object]]:
    """Events in their wire format."""
    done = [{"event": "step", "step": s, "loss": x, "tokens": tokens} for s, x in losses.items()]
    return [*done, *({"event": "eval", "step": s, "nats_per_char": x} for s, x in evals.items())]


def decaying(start: float, end: float, n: int, rate: float = 5.0) -> dict[int, float]:
    """A training loss that falls from `start` toward `end` over n steps."""
    return {i + 1: end + (start - end) * math.exp(-rate * i / n) for i in range(n)}


def verdict(curve: Curve, best: float, counted: float = 1.5, family: str = "gpt") -> Verdict:
    """The verdict on a run with this curve."""
    baselines = [
        Score("7-gram", counted * N, N, N, kind="ngram"),
        Score("uniform", 4.2 * N, N, N, kind="uniform"),
    ]
    return judge(baselines, Score("this model", best * N, N, N), trend=trend(curve), family=family)


TWO_STEPS = Curve.of(rows({1: 4.1, 2: 3.8}, {1: 5.8, 2: 4.2}), 1.0, 10_000)
OVERFIT = Curve.of(
    rows({40 * i: 3.026 + 0.145 * (i - 1) for i in range(1, 11)}, decaying(5.6, 0.9, 400)), 1.0, 11_000
)
CEILING = Curve.of(
    rows({100 * i: 2.48 + 0.5 * math.exp(-2.0 * i) for i in range(1, 11)}, decaying(4.6, 2.45, 1000, 30.0)),
    1.0,
    100_000,
)
SORTED = Curve.of(rows({5: 2.9, 10: 2.56, 15: 2.8, 20: 3.1}, decaying(5.6, 1.4, 20)), 1.0, 40_000)
ONE_CHARACTER = Curve.of(rows({10: 0.001, 20: 0.0}, decaying(5.6, 0.0, 20, 30.0)), 1.0, 18_000)
NOISE = Curve.of(rows({2: 2.694, 28: 2.71, 54: 2.714}, {i: 2.707 for i in range(1, 55)}), 1.0, 3_400)
"""A text whose characters were drawn at random: nothing is learned, by heart or otherwise."""
TOO_FAST = Curve.of(
    rows({10: 3.4, 20: 4.5, 30: 5.9}, {**decaying(5.8, 3.0, 10), **{i: 6.0 for i in range(11, 31)}}),
    1.0,
    10_000,
)


@pytest.mark.parametrize(
    ("curve", "direction", "epochs"),
    [
        (TWO_STEPS, "falling", 0.2),
        (OVERFIT, "rising", 36.4),
        (CEILING, "flat", 10.0),
        (SORTED, "rising", 0.5),
        (ONE_CHARACTER, "flat", 1.1),
        (TOO_FAST, "rising", 3.0),
        (Curve(), "unknown", 0.0),
        (Curve(evals=((10, 3.0),)), "unknown", 0.0),
        (Curve(evals=((10, 3.0),), losses=((1, 5.0), (10, 3.0))), "falling", 0.0),
    ],
)
def test_the_direction_of_each_shape(curve: Curve, direction: str, epochs: float) -> None:
    found = trend(curve)
    assert found.direction == direction
    assert curve.epochs == pytest.approx(epochs, abs=0.05)


@pytest.mark.parametrize(
    ("curve", "best", "says", "never"),
    [
        (TWO_STEPS, 3.8, ["still falling", "0.2 times", "train longer"], ["larger model", "rate"]),
        (
            OVERFIT,
            3.026,
            ["Step 40 of 400 was its best", "4.331", "36 times", "learns by heart", "smaller model"],
            ["train longer", "larger model", "rate"],
        ),
        (CEILING, 2.48, ["no longer fell", "larger model"], ["train longer", "rate"]),
        (SORTED, 2.56, ["unlike the rest", "shuffle"], ["train longer", "larger model", "rate"]),
        (
            NOISE,
            2.694,
            ["Step 2 of 54", "no lower than that best: 2.707", "train longer"],
            ["by heart", "rate"],
        ),
        (TOO_FAST, 3.4, ["training loss rose", "lower `lr`"], ["train longer", "larger model"]),
    ],
)
def test_advice_follows_from_the_curve(curve: Curve, best: float, says: list[str], never: list[str]) -> None:
    sentence = verdict(curve, best).sentence
    assert [words for words in says if words not in sentence] == []
    assert [words for words in never if words in sentence] == []


def test_a_bigram_table_at_its_ceiling_is_not_told_to_grow() -> None:
    sentence = verdict(CEILING, 2.4805, counted=2.48, family="bigram").sentence
    assert "too close to tell" in sentence and "train a gpt" in sentence and "larger" not in sentence


@pytest.mark.parametrize(
    ("loss", "says", "never"),
    [
        (2.512, ["counted bigrams know: 2.484", "train a gpt (`family=gpt`)"], ["train longer", "larger"]),
        (2.9, ["still falling", "near 2.484, that of counted bigrams", "train longer"], ["larger", "gpt"]),
    ],
)
def test_a_falling_bigram_table_is_told_its_limit(loss: float, says: list[str], never: list[str]) -> None:
    counted = [Score("7-gram", 1517.0, 1000, 1000, kind="ngram"), Score("bigram", 2484.0, 1000, 1000)]
    falling = trend(Curve(evals=((100, 3.5), (200, 3.2), (300, loss)), epochs=2.0))
    model = Score("this model", 1000 * loss, 1000, 1000)
    sentence = judge(counted, model, trend=falling, family="bigram").sentence
    assert [words for words in says if words not in sentence] == []
    assert [words for words in never if words in sentence] == []
    assert "train longer" in judge(counted, model, trend=falling).sentence


@pytest.mark.parametrize(
    ("epochs", "advice"), [(9.0, "; train longer"), (12.0, "give more text, or train longer")]
)
def test_a_text_that_was_read_often_should_be_longer(epochs: float, advice: str) -> None:
    falling = trend(Curve(evals=((100, 3.5), (200, 3.2), (300, 2.9)), epochs=epochs))
    counted = [Score("7-gram", 1517.0, 1000, 1000, kind="ngram")]
    assert advice in judge(counted, Score("this model", 2900.0, 1000, 1000), trend=falling).sentence


def test_a_worst_result_that_still_falls_is_not_blamed_on_the_rate() -> None:
    curve = Curve.of(rows({1: 5.4, 2: 5.1}, {1: 5.8, 2: 5.5}), 1.0, 10_000)
    found = verdict(curve, 5.1)
    assert found.finding and found.finding.outcome == "fail"
    assert "train longer" in found.sentence and "rate" not in found.sentence


def test_a_text_of_one_character_leaves_nothing_to_predict() -> None:
    found = verdict(ONE_CHARACTER, 0.0, counted=0.0001)
    assert found.finding and found.finding.outcome == "unclear"
    assert "nothing to predict" in found.sentence and "longer" not in found.sentence


def test_a_loss_under_half_of_the_best_baseline_is_suspicious() -> None:
    found = verdict(CEILING, 0.043)
    assert found.finding and found.finding.outcome == "warn"
    assert "suspicious" in found.sentence and "beats" not in found.sentence
    assert "copies" in found.sentence
    assert "beats" in verdict(CEILING, 0.8).sentence


def test_a_step_repeated_after_a_kill_counts_once() -> None:
    once = rows({2: 3.0}, {1: 5.0, 2: 4.0})
    assert Curve.of([*once, *once, {"event": "eval"}, {}], 2.0, 1000) == Curve(
        ((2, 3.0),), ((1, 10.0), (2, 8.0)), 2.0
    )


def test_a_trend_goes_through_json_and_back() -> None:
    for curve in (OVERFIT, Curve(), Curve(evals=((1, 2.0),))):
        found = verdict(curve, 1.4)
        again = Verdict.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
        assert again.to_dict() == found.to_dict()
