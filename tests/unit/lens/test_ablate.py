"""Heads switched off one at a time: measured on held-out data, against cutting them out of the weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from glassgpt.checkpoint import Run
from glassgpt.data import open_examples
from glassgpt.explain.context import BUILTIN
from glassgpt.generate import translate
from glassgpt.hooks import edit, zero_heads
from glassgpt.lens import Ablation, ablate, held_out_figures, most_important_head


@pytest.fixture(scope="module")
def dates() -> Run:
    return Run.open(BUILTIN / "dates")


def test_every_head_is_switched_off_once_and_on_again(dates: Run) -> None:
    model, tokenizer = dates.model(), dates.tokenizer()
    measure = held_out_figures(dates, model, tokenizer, n=50)
    whole = measure()
    assert whole["exact"] == whole["month"] == 1.0 and whole["nats/token"] < 0.01
    found = ablate(model, measure)
    assert len(found) == 4 * (2 + 2 + 2)
    assert measure() == whole
    D, cut = model.config.head_dim, found[0]
    assert (cut.attention, cut.head) == ("blocks.0.attn", 0)
    with torch.no_grad():
        model.blocks[0].attn.proj.weight[:, :D] = 0
    assert measure() == pytest.approx(cut.figures, abs=1e-6)


def test_right_answers_are_counted_as_decoding_counts_them(dates: Run) -> None:
    """With a head off that is missed, by parts, against the model writing by itself."""
    model, tokenizer = dates.model(), dates.tokenizer()
    n = 60
    val = open_examples(dates.data).val
    sources = [tokenizer.decode(val.source[i]) for i in range(n)]
    right = [tokenizer.decode(val.text[i][1:-1]) for i in range(n)]
    with edit(model, {"blocks.0.cross_attn.heads": zero_heads(0, 1, 2, 3)}):
        figures = held_out_figures(dates, model, tokenizer, n)()
        said = list(translate(model, tokenizer, sources, beams=1))
    assert 0 < figures["year"] < 1 or 0 < figures["month"] < 1 or 0 < figures["day"] < 1
    exact = sum(a == b for a, b in zip(said, right, strict=True)) / n
    assert figures["exact"] == pytest.approx(exact, abs=1e-9)


def test_running_text_is_measured_in_nats() -> None:
    run = Run.open(BUILTIN / "text")
    model = run.model()
    measure = held_out_figures(run, model, run.tokenizer())
    assert measure().keys() == {"nats/token"}
    losses = [each.figures["nats/token"] for each in ablate(model, measure)]
    assert len(losses) == 8 and min(losses) > measure()["nats/token"]


def test_an_encoder_is_measured_on_what_is_hidden(tmp_path: Path) -> None:
    import glassgpt as gg

    (tmp_path / "notes.txt").write_text("a rose is a rose is a rose. " * 200, "utf-8")
    config = gg.RunConfig.model_validate(
        {
            "data": {"sources": [str(tmp_path / "notes.txt")]},
            "model": {"family": "encoder", "size": "nano", "block_size": 16},
            "train": {"steps": 3},
        }
    )
    session = gg.start(config, out=tmp_path / "run")
    list(session.run())
    run = Run.open(tmp_path / "run")
    figures = held_out_figures(run, run.model(), run.tokenizer())()
    best = session.verdict().model
    assert isinstance(best, gg.Score)
    assert figures["nats/token"] == pytest.approx(best.nats_per_char, rel=0.05)


def without(head: int, loss: float, **shares: float) -> Ablation:
    return Ablation("blocks.0.attn", head, {"nats/token": loss, "exact": 0.5, **shares})


def test_a_head_that_serves_one_field_is_found() -> None:
    whole = {"nats/token": 1.0, "exact": 1.0, "month": 1.0, "day": 1.0}
    found = [without(0, 3.0, month=0.2, day=0.3), without(1, 1.2, month=0.6, day=0.98)]
    finding = most_important_head(whole, found)
    assert finding.outcome == "ok" and finding.observed == pytest.approx(40)
    assert "blocks.0.attn head 1 serves “month”: without it 40 points fewer" in finding.advice
    assert "(day 2)" in finding.advice


def test_else_the_head_with_the_largest_loss_is_found() -> None:
    whole = {"nats/token": 1.0}
    worst = most_important_head(whole, [without(0, 1.1), without(1, 1.5)])
    assert worst.observed == pytest.approx(0.5) and "head 1 matters most" in worst.advice
    none = most_important_head(whole, [without(0, 1.001), without(1, 1.002)])
    assert none.outcome == "unclear" and "No single head matters" in none.advice
