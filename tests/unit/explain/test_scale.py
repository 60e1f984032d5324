"""Chapter `scale`: variance d, a saturated softmax without the division, and what a model makes of it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from glassgpt.explain import ChapterContext, Grid
from glassgpt.explain.chapters import scale
from glassgpt.explain.heads import record_layers
from glassgpt.explain.influence import held_out
from helpers.explain_runs import small_run


def failed(context: ChapterContext | None = None) -> list[str]:
    findings = scale.make_chapter(context or ChapterContext(), str).findings
    return [finding.name for finding in findings if finding.outcome == "fail"]


@pytest.mark.parametrize("seed", range(20))
def test_every_finding_holds(seed: int) -> None:
    chapter = scale.make_chapter(ChapterContext(seed=seed), str)
    assert chapter.is_confirmed, chapter.findings


def test_the_standard_error_of_the_variance() -> None:
    g = torch.Generator().manual_seed(0)
    d, n = 16, scale.N
    found = []
    for _ in range(200):
        q, k = torch.randn(n, 1, d, generator=g), torch.randn(n, scale.S, d, generator=g)
        found.append((q @ k.mT).var().item())
    assert torch.tensor(found).std().item() == pytest.approx(scale.variance_error(d), rel=0.2)
    assert sum(found) / 200 == pytest.approx(d, abs=0.1)


def test_the_gradient_against_the_jacobian() -> None:
    scores, upstream = torch.randn(5, 16) * 3, torch.randn(5, 16)
    found = scale.softmax_of(scores, upstream)
    lengths = []
    for z, u in zip(scores, upstream, strict=True):
        p = z.softmax(-1)
        lengths.append(((torch.diag(p) - torch.outer(p, p)) @ u).norm().item())
    assert found.gradient == pytest.approx(sorted(lengths)[2], rel=1e-4)
    assert found.mean_gradient == pytest.approx(sum(lengths) / 5, rel=1e-4)
    assert found.largest == pytest.approx(scores.softmax(-1).amax(-1).mean().item())
    assert found.variance == pytest.approx(scores.var().item())


def test_wider_vectors_are_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    randn = torch.randn
    wide = lambda *size, generator=None: randn(*size, generator=generator) * 1.1  # noqa: E731
    monkeypatch.setattr(scale.torch, "randn", wide)
    assert failed()[:4] == [
        "Var(qk) of one component",
        "variance of q · k, d = 16",
        "variance of q · k / √d, d = 16",
        "variance of q · k: most standard errors from d",
    ]


def test_a_softmax_that_stays_soft_or_a_division_forgotten_is_found_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    right = scale.softmax_of
    monkeypatch.setattr(scale, "softmax_of", lambda z, u: right(z / z.std(), u))  # always scaled
    assert {"largest weight, unscaled, d = 256", "median gradient, unscaled / scaled, d = 256"} <= {*failed()}
    monkeypatch.setattr(scale, "softmax_of", lambda z, u: right(z / z.std() * 16, u))  # never
    assert {"largest weight, scaled, any d", "variance of q · k / √d, d = 16"} <= {*failed()}


def test_the_figures_of_a_model_against_loops() -> None:
    demo = ChapterContext().demo("gpt")
    tokens = held_out(demo, 1, 12, torch.Generator().manual_seed(0))
    for at, (found, layer) in enumerate(
        zip(scale.all_layers(demo.model, tokens), record_layers(demo.model, tokens), strict=True)
    ):
        variances = []
        for q, k in zip(layer.q, layer.k, strict=True):
            products = torch.tensor([(q[t] @ k[s]).item() for t in range(12) for s in range(t + 1)])
            variances.append(products.var(correction=0).item())
        assert found.variance == pytest.approx(sum(variances) / len(variances), rel=1e-4)
        assert found.largest == pytest.approx(layer.weights[:, 5:].amax(-1).mean().item())
        attention = demo.model.get_submodule(f"blocks.{at}.attn")
        gains = [
            attention.get_parameter(f"{name}.weight").abs().max().item() for name in ("q_norm", "k_norm")
        ]
        most = max((q @ k.T).abs().max().item() for q, k in zip(layer.q, layer.k, strict=True))
        assert found.ratio == pytest.approx(most / (16 * math.prod(gains)), rel=1e-5)


def test_a_norm_that_does_not_norm_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from glassgpt.nn import norm

    right = norm.RMSNorm.forward
    monkeypatch.setattr(norm.RMSNorm, "forward", lambda self, x: right(self, x) * 1.4)
    assert failed() == [
        "random weights: mean q² under QK-norm", "trained model: |q · k| / what its gains allow"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("family", "model", "normed"),
    [
        ("gpt", {"preset": "gpt2"}, False),
        ("gpt", {"n_kv_head": 2}, True),
        ("gpt", {"window": 3}, True),
        ("encoder", {}, True),
        ("seq2seq", {"n_encoder_layer": 1}, True),
    ],
)
def test_a_users_run(tmp_path: Path, family: str, model: dict, normed: bool) -> None:
    chapter = scale.make_chapter(ChapterContext(small_run(tmp_path, family, **model)), str)
    assert chapter.is_confirmed, chapter.findings
    assert len(chapter.findings) == (10 if normed else 8)
    tables = [part for part in chapter.body if isinstance(part, Grid)]
    assert str(tmp_path) in tables[-1].title
    assert len(tables[-1].rows) == 2 * model.get("n_encoder_layer", 2)


def test_the_picture() -> None:
    pytest.importorskip("matplotlib")
    assert len(scale.make_chapter(ChapterContext(), str).plot().axes) == 4
