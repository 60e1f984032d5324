"""The autopilot under the user's settings: all of them go through, and what was given stays."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
import torch

from glassgpt import threads
from glassgpt.config import Layer, RunConfig, Tables
from glassgpt.errors import UserError
from glassgpt.train import Plan, plan
from glassgpt.train.autopilot import decision, speed
from glassgpt.train.outlooks import outlook

TEXT = "".join(
    f"{i} geese, {i * 7 % 31} swans, {i * 5 % 13} ashore at {i % 24} o'clock.\n" for i in range(900)
)


def planned(folder: Path, tables: Tables, text: str = TEXT, **length: Any) -> Plan:
    (folder / "notes.txt").write_text(text)
    given: Tables = {"data": {"sources": [str(folder / "notes.txt")]}, "train": {}} | tables
    given["train"] = given["train"] | (length or {"steps": 300})
    return plan([Layer("option", given)], autopilot=True)


@pytest.mark.parametrize(
    "tables",
    [
        {"model": {"n_embd": 160}},
        {"model": {"n_embd": 96, "n_head": 3}},
        {"model": {"n_kv_head": 2}},
        {"model": {"size": "nano"}},
        {"model": {"preset": "speedrun"}},
        {"model": {"preset": "gpt2"}},
        {"model": {"ngram_order": 3}},
        {"model": {"window": 16, "position": "none"}},
        {"tokenizer": {"kind": "char", "byte_fallback": False}},
        {"tokenizer": {"byte_fallback": False}},
        {"tokenizer": {"kind": "bpe", "vocab_size": 30_000}},
        {"tokenizer": {"kind": "bpe"}},
        {"tokenizer": {"kind": "byte"}},
        {"optim": {"optimizer": "adamw"}},
        {"train": {"grad_accum_steps": 4}},
        {"exportable": True},
    ],
)
def test_what_is_given_stays(tables: Tables, tmp_path: Path) -> None:
    found = planned(tmp_path, tables)
    assert found.decision is not None
    for table, settings in tables.items():
        for name, value in settings.items() if isinstance(settings, dict) else ():
            assert getattr(getattr(found.config, table), name) == value
            assert found.resolved.origins[f"{table}.{name}"] == "option"


def test_a_size_keeps_its_own_numbers(tmp_path: Path) -> None:
    origins = planned(tmp_path, {"model": {"size": "nano"}}).resolved.origins
    assert origins["model.n_embd"] == "size nano" and origins["tokenizer.kind"] == "autopilot"


def test_rates_of_another_optimizer_are_its_own(tmp_path: Path) -> None:
    assert planned(tmp_path, {"optim": {"optimizer": "adamw"}}).config.optim.peak_lrs["lr"] == 0.002


def test_accumulated_steps_are_not_multiplied(tmp_path: Path) -> None:
    assert planned(tmp_path, {"train": {"grad_accum_steps": 4}}).config.train.micro_batch_size == 16


def test_an_exportable_model_has_no_ngram_table(tmp_path: Path) -> None:
    assert planned(tmp_path, {"exportable": True}).config.model.ngram_order == 0


@pytest.mark.parametrize("text", [TEXT[:1500], "a" * 5000, "ab\n" * 3000], ids=["short", "one", "two"])
def test_texts_that_hardly_are_texts(text: str, tmp_path: Path) -> None:
    assert planned(tmp_path, {}, text).decision is not None


@pytest.mark.usefixtures("cpu_clock")
def test_with_minutes_it_times_this_machine(tmp_path: Path) -> None:
    found = planned(tmp_path, {}, minutes=0.4)
    assert found.decision is not None and found.decision.choice.n_steps > 1
    assert found.decision.length.seconds and found.decision.length.seconds < 24


class SlowTogether:
    """A learner whose steps take longer the more threads there are, as next to busy programs."""

    device = torch.device("cpu")

    def backward(self, _: object) -> None:
        time.sleep(0.01 * torch.get_num_threads())

    def optimizer_step(self, _: object) -> None:
        pass


def test_steps_are_timed_on_the_number_of_threads_that_a_run_would_find(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(speed, "make_learner", lambda *_: SlowTogether())
    monkeypatch.setattr(threads, "default_threads", lambda: 8)
    assert 0.01 < speed.time_step(RunConfig(), 99, 0.05) < 0.02
    kept = RunConfig.model_validate({"train": {"threads": 8}})
    assert speed.time_step(kept, 99, 0.05) > 0.08


@pytest.mark.usefixtures("known_speed")
def test_timings_end_when_their_time_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed = list[float]()

    def slow(*_: object) -> float:
        timed.append(0.1)
        time.sleep(1)
        return 0.1

    monkeypatch.setattr(decision, "time_step", slow)
    planned(tmp_path, {}, minutes=0.4)  # 24 s: all timings get less than one
    assert len(timed) == 1


def test_the_same_choice_with_steps_on_any_machine(tmp_path: Path) -> None:
    one, other = (planned(tmp_path, {}, steps=500).decision for _ in range(2))
    assert one is not None and other is not None and one.choice == other.choice
    recipe = one.choice.recipe
    assert (recipe.n_layer, recipe.n_embd, recipe.batch * recipe.block_size) == (
        4,
        128,
        16 * recipe.block_size,
    )


@pytest.mark.parametrize(
    ("tables", "length"),
    [({}, {"steps": 20}), ({}, {"minutes": 0.2}), ({"model": {"family": "bigram"}}, {"steps": 500})],
)
def test_it_leaves_short_runs_and_other_models_alone(
    tables: Tables, length: dict[str, Any], tmp_path: Path
) -> None:
    assert planned(tmp_path, tables, **length).decision is None


@pytest.mark.usefixtures("known_speed")
def test_the_outlook_says_when_more_time_stops_helping(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text(TEXT)
    given = tmp_path / "notes.txt"
    found = outlook(given, [1, 60])
    assert [run.minutes for run in found.runs] == [1, 60] and found.runs[0].memory_bytes > 1e6
    assert found.runs[0].choice.n_steps < found.runs[1].choice.n_steps
    assert any("More than" in sentence for sentence in found.sentences())  # 40 kB for an hour
    with pytest.raises(UserError, match=r"from 0\.5 on"):
        outlook(given, [])


@pytest.mark.usefixtures("known_speed")
def test_the_forecast_of_a_small_text_is_of_its_best_step(tmp_path: Path) -> None:
    """The text is learned by heart long before ten minutes are over, and the run ends early."""
    (tmp_path / "small.txt").write_text(TEXT[:8_000])
    length = {"minutes": 10, "max_epochs": 1e6}
    given = Layer("option", {"data": {"sources": [str(tmp_path / "small.txt")]}, "train": length})
    found = plan([given], autopilot=True).decision
    assert found is not None
    at_the_end = found.chooser.judge(found.choice.recipe, found.length).forecast
    assert found.choice.forecast.nats_per_char < at_the_end.nats_per_char
