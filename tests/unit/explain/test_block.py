"""Chapter `block`: the stream is a sum, norms give RMS 1, parts cost something, paths keep gradients."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from glassgpt.explain import ChapterContext, Grid
from glassgpt.explain import block_parts as parts
from glassgpt.explain.chapters import block
from glassgpt.explain.deep_stacks import B, C, T, grow, random_blocks
from glassgpt.explain.influence import held_out
from glassgpt.nn import Block
from helpers.explain_runs import small_run


def failed(context: ChapterContext | None = None) -> list[str]:
    findings = block.make_chapter(context or ChapterContext(), str).findings
    return [finding.name for finding in findings if finding.outcome == "fail"]


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_every_finding_holds(seed: int) -> None:
    chapter = block.make_chapter(ChapterContext(seed=seed), str)
    assert {finding.outcome for finding in chapter.findings} == {"ok"}, chapter.findings


def test_the_loss_without_a_part_against_a_loop() -> None:
    """Leave each part out by hand, in a forward pass written here."""
    demo = ChapterContext().demo("gpt")
    model, generator = demo.model, torch.Generator().manual_seed(0)
    tokens = held_out(demo, 8, 24, generator)
    _, found = parts.knock_out(model, tokens, [1])

    def loss(change: str) -> float:
        x = model.wte(tokens[:, :-1])
        mask, rope = parts_mask(x.shape[1]), model.rope(0, x.shape[1])
        for at, each in enumerate(model.blocks):
            how = change if at == 1 else ""
            n_1, n_2 = (norm_of(norm, how) for norm in (each.norm_1, each.norm_2))
            a = each.attn(n_1(x), mask=mask, rope=rope) * (how not in ("attention", "both"))
            x = a + x * (how != "path")
            m = each.mlp(n_2(x)) * (how not in ("mlp", "both"))
            x = m + x * (how != "path")
        logits = model.lm_head(model.norm_f(x))
        return F.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten()).item()

    with torch.no_grad():
        whole = loss("")
        for (_, name), measured in found.items():
            assert measured.added == pytest.approx(loss(name) - whole, abs=2e-5), name


def parts_mask(n: int) -> object:
    from glassgpt.nn import AttnMask

    return AttnMask.causal(n)


def norm_of(norm: torch.nn.Module, change: str):
    gain = norm.get_parameter("weight")
    if change == "gains":
        return lambda x: F.rms_norm(x, (x.shape[-1],), None, 1e-6)
    return (lambda x: x * gain) if change == "norms" else norm


def test_a_change_ends_with_its_block() -> None:
    demo = ChapterContext().demo("gpt")
    tokens = held_out(demo, 2, 16, torch.Generator().manual_seed(0))
    with torch.no_grad():
        before = demo.model(tokens)
        parts.knock_out(demo.model, tokens, [0, 1])
        assert torch.equal(demo.model(tokens), before)


def test_the_standard_error_is_that_of_paired_texts() -> None:
    whole, changed = torch.tensor([1.0, 2.0, 3.0, 4.0]).double(), torch.tensor([1.5, 2.7, 3.1, 4.9]).double()
    loss = parts.difference(changed, whole)
    assert (loss.mean, loss.added) == pytest.approx((3.05, 0.55))
    assert loss.error == pytest.approx(0.3416 / 2, abs=1e-3)  # of 0.5, 0.7, 0.1, 0.9


def test_a_norm_that_does_not_norm_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from glassgpt.nn import norm

    right = norm.RMSNorm.forward
    monkeypatch.setattr(norm.RMSNorm, "forward", lambda self, x: right(self, x) * 1.4)
    assert failed() == ["RMS that a part reads, before the gain"]


def test_a_norm_that_depends_on_the_size_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from glassgpt.nn import norm

    right = norm.RMSNorm.forward
    monkeypatch.setattr(norm.RMSNorm, "forward", lambda self, x: right(self, x) + 1e-3 * x)
    assert "a stream twice as large: change of what a part reads" in failed()


def test_a_block_that_is_no_sum_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    right = Block.forward
    monkeypatch.setattr(Block, "forward", lambda self, *a, **k: 1.0001 * right(self, *a, **k))
    assert failed()[0] == "last state ↔ embedding + all that was written, in units of float rounding"


def test_a_stack_without_a_path_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    right = block.grow
    monkeypatch.setattr(block, "grow", lambda blocks, path, norms, seed: right(blocks, False, norms, seed))
    assert "32 blocks with path and norms: |log₁₀| of the gradient's change" in failed()
    monkeypatch.setattr(block, "grow", lambda blocks, path, norms, seed: right(blocks, True, True, seed))
    assert failed() == ["32 blocks without the path: |log₁₀| of the gradient's change"]


def test_the_sum_of_squares_holds_within_its_tolerance() -> None:
    """The stream of independent writes: its mean square is the sum of theirs, for any seed."""
    found = [grow(random_blocks(8, seed), True, True, seed, depths=(8,))[0] for seed in range(20)]
    ratios = torch.tensor([stack.power / stack.written for stack in found])
    assert ratios.mean().item() == pytest.approx(1, abs=0.1)
    assert all(abs(stack.power / stack.written - 1) < stack.noise for stack in found)
    assert B * T * C == 2048


def test_few_blocks_of_many_are_shown() -> None:
    assert parts.shown_blocks(1) == [0] and parts.shown_blocks(3) == [0, 1, 2]
    assert parts.shown_blocks(24) == [0, 8, 15, 23]


@pytest.mark.parametrize(
    ("family", "model"),
    [
        ("gpt", {"preset": "gpt2"}),
        ("gpt", {"n_kv_head": 2, "window": 5, "n_layer": 6}),
        ("gpt", {"n_layer": 1, "norm": "layer"}),
        ("encoder", {}),
        ("bigram", {}),
    ],
)
def test_a_users_run(tmp_path: Path, family: str, model: dict) -> None:
    run = small_run(tmp_path, family, **model)
    chapter = block.make_chapter(ChapterContext(run), str)
    assert chapter.is_confirmed, chapter.findings
    shown = str(run) in " ".join(part for part in chapter.body if isinstance(part, str))
    assert shown == (family == "gpt")
    sizes = next(part for part in chapter.body if isinstance(part, Grid))
    assert len(sizes.rows) == (model.get("n_layer", 2) if shown else 2)
    chapter.plot()
