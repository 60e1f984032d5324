"""Chapter `graph`: no gradient crosses the batch; without positions order is lost, in a convolution not."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from glassgpt.explain import ChapterContext
from glassgpt.explain.chapters import graph
from glassgpt.explain.context import Demo
from glassgpt.explain.influence import encoder_of, held_out, influence
from glassgpt.hooks import edit, record
from helpers.explain_runs import small_run


@pytest.mark.parametrize("seed", range(20))
def test_every_finding_holds(seed: int) -> None:
    assert graph.make_chapter(ChapterContext(seed=seed), str).is_confirmed


def test_influence_is_the_gradient_of_finite_differences() -> None:
    context = ChapterContext()
    demo = context.demo("gpt")
    model = demo.model.double()
    tokens = held_out(demo, 2, 5, context.generator())
    torch.set_default_dtype(torch.float64)
    try:
        found = influence(model, tokens, context.generator())
        along = torch.randn(model.config.n_embd, generator=context.generator())
    finally:
        torch.set_default_dtype(torch.float32)

    def output(change: torch.Tensor) -> float:
        with (
            torch.no_grad(),
            record(model, "norm_f") as seen,
            edit(model, {"blocks.0.resid_pre": lambda x: x + change}),
        ):
            model.trunk(tokens)
        return (seen["norm_f"][1, 3] @ along).item()

    for b, t in ((1, 2), (1, 4), (0, 2)):
        gradient = torch.zeros(model.config.n_embd, dtype=torch.float64)
        for i in range(len(gradient)):
            change = torch.zeros(2, 5, len(gradient), dtype=torch.float64)
            change[b, t, i] = 1e-6
            gradient[i] = (output(change) - output(-change)) / 2e-6
        assert found[1, 3, b, t].item() == pytest.approx(gradient.norm().item(), rel=1e-5, abs=1e-8)


def test_a_model_that_mixes_the_batch_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    demo, of = ChapterContext().demo("gpt"), ChapterContext.demo
    mlp = demo.model.get_submodule("blocks.1.mlp")
    mlp.register_forward_hook(lambda *given: given[2] + given[2].mean(0, keepdim=True))

    def with_ours(self: ChapterContext, *families: str, **needs: int) -> Demo:
        return demo if families == ("gpt",) else of(self, *families, **needs)

    monkeypatch.setattr(ChapterContext, "demo", with_ours)
    failed = [f.name for f in graph.make_chapter(ChapterContext(), str).findings if f.outcome == "fail"]
    assert failed == ["largest gradient across the batch"]


def test_positions_left_in_are_found_out() -> None:
    context = ChapterContext()
    demo = context.demo("seq2seq")
    encoder, generator = encoder_of(demo), context.generator()
    tokens = held_out(demo, 1, 16, generator)
    moved = graph.permuted(encoder, tokens, torch.randperm(16, generator=generator), generator)
    assert moved.without_positions < graph.ROUNDING < 0.1 < moved.with_positions
    assert encoder.rope is not None  # the model itself keeps them
    same = graph.permuted(encoder, tokens, torch.arange(16), generator)
    assert same.with_positions == same.convolution == 0


def test_the_same_text_twice_has_the_same_edges() -> None:
    demo = ChapterContext().demo("gpt")
    tokens = held_out(demo, 1, 8, torch.Generator().manual_seed(0))
    assert graph.edges(demo.model, torch.cat([tokens, tokens])).moved == 0


@pytest.mark.parametrize(
    ("family", "model"),
    [
        ("gpt", {"preset": "gpt2"}),
        ("gpt", {"n_kv_head": 2, "window": 4}),
        ("encoder", {}),
        ("encoder", {"position": "none"}),
        ("encoder", {"preset": "gpt2", "window": 6}),
        ("bigram", {}),
        ("seq2seq", {}),
    ],
)
def test_a_users_run(tmp_path: Path, family: str, model: dict) -> None:
    run = small_run(tmp_path, family, **model)
    chapter = graph.make_chapter(ChapterContext(run), str)
    assert chapter.is_confirmed
    shown = str(run) in " ".join(part for part in chapter.body if isinstance(part, str))
    assert shown == (family != "bigram" and model.get("position") != "none")
