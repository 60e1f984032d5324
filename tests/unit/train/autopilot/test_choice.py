"""The search for a recipe: what the user fixed stays, and nothing on the grid is forecast to be better."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from glassgpt.config import Layer, resolve
from glassgpt.train.autopilot import (
    Chooser,
    Length,
    Recipe,
    TextFacts,
    TokenCount,
    law_inputs,
    load_scaling_law,
)
from glassgpt.train.autopilot.candidates import SMALL, Candidates, fixed_fields
from glassgpt.train.autopilot.choice import EPOCHS, TABLE_EPOCHS, n_changes
from glassgpt.train.autopilot.speed import MachineSpeed, prior_seconds

COUNTED = ((32_000, 2.0), (128_000, 1.8))
TOKENS = {("char", 0): TokenCount(350, 1.0), ("bpe", 1024): TokenCount(1024, 0.42)}


def text(n_chars: int = 1_000_000) -> TextFacts:
    return TextFacts(n_chars, n_chars, n_chars // 10, 4.5, 3.3, 2.1, 1.5, "7-gram", 1.65, COUNTED, TOKENS)


def chooser(fixed: dict[str, object] | None = None, exportable: bool = False) -> Chooser:
    return Chooser(text(), Candidates(text(), fixed or {}, exportable), load_scaling_law(), MachineSpeed())


def test_no_neighbor_of_the_choice_ranks_higher() -> None:
    length, found = Length(seconds=60), chooser()
    choice = found.choose(length)
    others = [each.recipe for along in found.alternatives(choice, length) for each in along]
    assert len(others) > 20
    assert found.rank(choice.recipe, length) <= min(found.rank(other, length) for other in others)


def test_the_choice_is_more_cautious_than_the_forecast_about_learning_by_heart() -> None:
    """Of two recipes with like forecasts, the one that owes less of it to rereading a short text wins."""
    about = text(60_000)
    found = Chooser(about, Candidates(about, {}), load_scaling_law(), MachineSpeed())
    length = Length(steps=1000)
    weak, strong = (Recipe(preset="speedrun", ngram_rows=1 << 17, ngram_dropout=p) for p in (0.25, 0.8))
    by_forecast, by_rank = (
        measure(weak) / measure(strong)
        for measure in (
            lambda recipe: found.judge(recipe, length).forecast.nats_per_char,
            lambda recipe: found.rank(recipe, length),
        )
    )
    assert by_rank > by_forecast + 0.02


def test_a_default_is_left_for_a_gain_only() -> None:
    """Rates that the law finds equal keep the default; a table that it finds far better is taken."""
    recipe = chooser({"tokenizer": "char", "vocab_size": 0}).choose(Length(seconds=60)).recipe
    assert n_changes(recipe) < 7
    assert n_changes(Recipe(rate=0.5, dropout=0.1)) == 2


@pytest.mark.parametrize(
    "fixed",
    [{"tokenizer": "char"}, {"block_size": 48}, {"n_layer": 5, "n_embd": 160, "n_head": 5}, {"rate": 0.5}],
)
def test_fixed_fields_stay(fixed: dict[str, object]) -> None:
    recipe = chooser(fixed).choose(Length(seconds=30)).recipe
    assert {name: getattr(recipe, name) for name in fixed} == fixed


def test_an_exportable_model_has_no_ngram_table() -> None:
    assert chooser(exportable=True).choose(Length(seconds=30)).recipe.ngram_rows == 0


def test_a_short_text_gets_strong_ngram_dropout() -> None:
    """It is read several times, and the n-gram table learns it by heart at once; a long text is read once."""
    dropouts = [
        Chooser(text(n), Candidates(text(n), {"preset": "speedrun"}), load_scaling_law(), MachineSpeed())
        .choose(Length(seconds=45))
        .recipe.ngram_dropout
        for n in (50_000, 4_000_000)
    ]
    assert dropouts[0] >= 0.5 > dropouts[1]


def test_only_a_table_learns_by_heart_what_ngram_dropout_hides() -> None:
    def rise(**settings: Any) -> float:
        recipe = Recipe(preset="speedrun", **settings)
        law, short, long = load_scaling_law(), text(40_000), text(4_000_000)
        return law.loss(short, recipe, 1000) / law.loss(long, recipe, 1000)

    table = {"ngram_rows": 65_536}
    assert rise(**table) > rise(**table, ngram_dropout=0.8) + 0.05
    inputs = law_inputs(text(), Recipe(), 1000)
    assert {inputs[name] for name in inputs if name.startswith("ngram")} == {0.0}


def test_a_text_too_short_for_scaling_law_gets_the_recipe_for_small_texts() -> None:
    small = text(7_000)
    fixed: dict[str, Any]
    for fixed in ({}, {"n_layer": 3, "dropout": 0.1}):
        candidates = Candidates(small, fixed)
        found = Chooser(small, candidates, load_scaling_law(), MachineSpeed())
        choice = found.choose(Length(seconds=60))
        assert candidates.is_small and choice.recipe == replace(SMALL, **fixed)
        assert not any(found.alternatives(choice, Length(seconds=60)))


def test_a_small_text_ends_a_long_training() -> None:
    """Three evaluations after the first one end it; patience 0 and a text that suffices do not."""
    small = chooser()
    small = replace(small, text=text(30_000), candidates=Candidates(text(30_000), {}), max_epochs=1e6)
    long, short = small.choose(Length(seconds=36_000)), chooser().choose(Length(seconds=20))
    ends = small.early_end(long, patience=3, evals=10)
    assert ends is not None and 0.3 <= ends < 1
    assert small.early_end(long, patience=3, evals=20) == pytest.approx(0.2)
    assert small.early_end(long, patience=0, evals=10) is None
    assert small.early_end(long, patience=10, evals=10) is None
    assert chooser().early_end(short, patience=3, evals=10) is None


def test_a_run_by_the_clock_makes_so_many_passes_over_its_text_at_most() -> None:
    about, hour = text(50_000), Length(seconds=3_600)

    def found(max_epochs: float | None = None) -> Chooser:
        candidates = Candidates(about, {"n_layer": 2, "n_embd": 64, "n_head": 2})
        return Chooser(about, candidates, load_scaling_law(), MachineSpeed(), max_epochs)

    plain, table = Recipe(n_layer=2, n_embd=64, n_head=2), Recipe(preset="speedrun", ngram_rows=1 << 17)
    assert found().judge(plain, hour).epochs == pytest.approx(EPOCHS, rel=0.02)
    assert found().judge(table, hour).epochs == pytest.approx(TABLE_EPOCHS, rel=0.02)
    assert found(3.0).judge(table, hour).epochs == pytest.approx(3, rel=0.02)
    assert found(3.0).judge(table, Length(steps=10_000)).epochs == pytest.approx(3, rel=0.02)
    assert found().judge(plain, Length(steps=10_000)).n_steps == 10_000
    assert found().judge(plain, Length(seconds=10)).epochs < EPOCHS / 2


def test_the_best_evaluation_counts_where_a_training_ends_early() -> None:
    """The law for the last step says that the text is learned by heart by then."""
    small = Chooser(text(7_000), Candidates(text(7_000), {}), load_scaling_law(), MachineSpeed(), 1e6)
    long = small.choose(Length(seconds=300))
    end = small.early_end(long, patience=3, evals=10)
    assert end is not None
    stopped = small.stopped(long, end, evals=10).forecast.nats_per_char
    assert stopped == min(
        [long.forecast.nats_per_char, *(loss for p, loss in small.curve(long, 10) if p <= end)]
    )
    assert stopped < long.forecast.nats_per_char


def test_the_interval_is_wider_beyond_the_steps_of_the_law() -> None:
    def width(n_steps: int) -> float:
        forecast = chooser().judge(Recipe(), Length(steps=n_steps)).forecast
        return forecast.high / forecast.low

    assert width(20) > width(60) > width(120) == pytest.approx(width(4_000))
    assert width(40_000) > width(4_000)


def test_few_steps_have_no_forecast() -> None:
    assert not chooser().judge(Recipe(), Length(steps=29)).has_forecast
    assert chooser().judge(Recipe(), Length(steps=30)).has_forecast


def test_a_text_too_short_for_the_law_has_no_forecast() -> None:
    small = Chooser(text(7_000), Candidates(text(7_000), {}), load_scaling_law(), MachineSpeed())
    assert not small.choose(Length(seconds=60)).has_forecast


def test_settings_of_the_user_fix_the_fields_that_follow_from_them() -> None:
    resolved = resolve([Layer("option", {"model": {"size": "nano"}, "optim": {"muon_lr": 0.015}})])
    assert fixed_fields(resolved) == {
        "n_layer": 2,
        "n_head": 4,
        "n_embd": 64,
        "block_size": 64,
        "rate": 0.5,
    }


@pytest.mark.parametrize(
    "recipe",
    [
        Recipe(),
        Recipe("bpe", 1024, "speedrun", 2, 3, 96, 128, 8, 0.7, 0.3, 0.1, 1 << 17, 0.5),
        Recipe("byte", batch=7, rate=0.35),
    ],
)
def test_a_recipe_survives_its_configuration(recipe: Recipe) -> None:
    assert Recipe.of(resolve([Layer("autopilot", recipe.tables())]).config) == recipe


def test_speed_is_found_from_few_timings() -> None:
    small, large = Recipe(n_layer=2, n_embd=64), Recipe(n_layer=6, n_embd=384, n_head=12)
    measured = [(prior_seconds(each, 350), 3 * prior_seconds(each, 350)) for each in (small, large)]
    assert MachineSpeed.fit(measured).step_s(Recipe(), 350) == pytest.approx(3 * prior_seconds(Recipe(), 350))
    assert MachineSpeed.fit([]).step_s(small, 350) == pytest.approx(prior_seconds(small, 350))


def test_speed_follows_a_machine_whose_large_steps_are_slower() -> None:
    small, large = Recipe(n_layer=2, n_embd=64), Recipe(n_layer=6, n_embd=384, n_head=12)
    speed = MachineSpeed.fit(
        [
            (prior_seconds(small, 350), prior_seconds(small, 350)),
            (prior_seconds(large, 350), 2 * prior_seconds(large, 350)),
        ]
    )
    assert speed.step_s(small, 350) < 1.2 * prior_seconds(small, 350)
    assert speed.step_s(large, 350) > 1.7 * prior_seconds(large, 350)
