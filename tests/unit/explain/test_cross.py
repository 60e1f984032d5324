"""Chapter `cross`: heads that align and look, measured; without its memory a model can only guess."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

from glassgpt.explain import ChapterContext
from glassgpt.explain import cross_attention as asking
from glassgpt.explain.chapters import cross
from glassgpt.explain.context import BUILTIN
from glassgpt.hooks import record
from glassgpt.language import using
from glassgpt.nn import Attention
from helpers.explain_runs import small_run
from helpers.templates import make_template

pytestmark = pytest.mark.skipif(
    not (BUILTIN / "scenes").is_dir(), reason="the built-in run of scenes is not there yet"
)


@pytest.mark.parametrize("seed", range(20))
def test_every_finding_holds(seed: int) -> None:
    assert cross.make_chapter(ChapterContext(seed=seed), str).is_confirmed


def test_a_decoder_that_ignores_its_memory_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    forward = Attention.forward

    def deaf(self: Attention, x: torch.Tensor, memory: torch.Tensor | None = None, **rest: object):
        return forward(self, x, memory if memory is None else torch.zeros_like(memory), **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Attention, "forward", deaf)
    findings = cross.make_chapter(ChapterContext(), str).findings
    failed = {f.name for f in findings if f.outcome != "ok"}
    assert failed == {f.name for f in findings if "memory zeroed" not in f.name}


def test_what_is_right_without_the_memory_is_no_more_than_can_be_counted() -> None:
    demo = ChapterContext().demo("seq2seq")
    found = asking.ablate_memory(demo, np.arange(100))
    assert found.n_correct_zeroed <= found.n_best_guess < found.n_correct
    assert found.n == 100 and found.n_tokens == 1100  # ten characters and an end


def test_the_head_is_chosen_on_one_half_and_measured_on_the_other() -> None:
    shares = torch.tensor([[[1.0, 0.0]], [[0.25, 1.0]], [[1.0, 0.0]], [[0.25, 1.0]]])  # (n, L, H)
    looks = asking.best_head(shares, torch.full((4,), 0.1), torch.tensor([True, False, True, False]))
    assert (looks.layer, looks.head, looks.share, looks.n) == (0, 0, 0.25, 2)
    assert looks.limit == pytest.approx(0.1 + 4 * (0.1 * 0.9 / 2) ** 0.5)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("what is at the top right?", [[0, 0, 1, 1], [0, 0, 1, 1], [0, 0, 0, 0], [0, 0, 0, 0]]),
        ("左下角是什么？", [[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]]),
        ("where is the 3?", None),
        ("who?", None),
    ],
)
def test_the_asked_cell(question: str, expected: list | None) -> None:
    cell = asking.asked_cell(question, 4)
    assert (None if cell is None else cell.int().tolist()) == expected


@pytest.mark.skipif(importlib.util.find_spec("babel") is None, reason="needs babel")
def test_month_digits_look_at_the_month() -> None:
    """What the chapter measures on copied digits holds for months, most of which are written in letters."""
    from glassgpt.data.datasets.dates import located_test_dates

    demo = ChapterContext().demo("seq2seq")
    model, tokenizer = demo.model, demo.tokenizer
    encoding = make_template(model.config, tokenizer)
    hits = torch.zeros(model.config.n_layer, model.config.n_head)
    examples = located_test_dates()[:128]
    for example, month in examples:
        tokens = torch.tensor([[*encoding.prompt(example), *encoding.answer(example)[:-1]]])
        with torch.no_grad(), record(model, "blocks.*.cross_attn.weights") as seen:
            model(tokens, memory=model.encode(torch.tensor([encoding.source(example)])))
        place = torch.stack(list(seen.values()))[:, 0, :, 5:7].argmax(-1)  # (L, H, 2)
        hits += ((place >= month.start) & (place < month.stop)).sum(-1)
    assert hits.max() / (2 * len(examples)) >= 0.9


def test_a_users_translator_that_copies_nothing_degrades(tmp_path: Path) -> None:
    chapter = cross.make_chapter(ChapterContext(small_run(tmp_path, "seq2seq")), str)
    text = " ".join(part for part in chapter.body if isinstance(part, str))
    assert str(tmp_path) in text and "In this run, too few tokens" in text
    assert not any("copied" in finding.name for finding in chapter.findings)
    assert any("Train it longer" in finding.advice for finding in chapter.findings)  # three steps are few
    assert chapter.plot() is not None


def test_a_users_captioner_shows_the_image() -> None:
    chapter = cross.make_chapter(ChapterContext(BUILTIN / "scenes"), str)
    text = [part for part in chapter.body if isinstance(part, str)]
    assert str(BUILTIN / "scenes") in " ".join(text) and "“dates”" in " ".join(text)
    assert chapter.is_confirmed


def test_questions_that_name_no_place_are_shown_without_a_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (asking, cross):
        monkeypatch.setattr(module, "asked_cell", lambda *_: None)
    chapter = cross.make_chapter(ChapterContext(), str)
    assert not any("asked cell" in finding.name for finding in chapter.findings)
    assert any("name no cell" in part for part in chapter.body if isinstance(part, str))
    assert chapter.plot() is not None


@pytest.mark.parametrize(("spoken", "asked"), [("en", "what is at"), ("zh", "角是什么")])
def test_the_question_is_in_the_language_of_the_reader(spoken: str, asked: str) -> None:
    demo = ChapterContext().demo("captioner")
    with using(spoken):
        row = cross._shown(demo, np.arange(60), 4)
    assert asked in asking.question(demo, row)
