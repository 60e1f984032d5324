"""The sampling bench draws what the engine draws, and shows its numbers."""

from __future__ import annotations

from typing import Any

import pytest
import torch

import glassgpt as gg
from glassgpt.generate import Engine, Request, SamplingParams
from helpers.browser import Lab, assert_shown, number

pytestmark = pytest.mark.browser
TEXT = "the moon"
N_SEEDS = 1000
SETTINGS = [
    SamplingParams(),
    SamplingParams(temperature=0.0),
    SamplingParams(temperature=0.7, top_k=5),
    SamplingParams(temperature=1.5, top_p=0.8),
    SamplingParams(min_p=0.05, repetition_penalty=1.3),
    SamplingParams(temperature=2.0, top_k=20, top_p=0.95, min_p=0.02, repetition_penalty=0.8),
]
DRAW = """async ([logits, past, settings, n]) => {
    const { Random, sampling } = await import(document.querySelector("script[type=module]").src);
    return settings.map((params) => {
        const p = sampling.distribution(Float32Array.from(logits), params, past).probabilities;
        const draw = (_, seed) => sampling.nextToken(p, params, new Random(seed).random());
        return Array.from({ length: n }, draw);
    });
}"""


def engine_tokens(engine: Engine, requests: list[Request]) -> list[list[int]]:
    """Run requests to their end and return the tokens of each."""
    names = [engine.add(request) for request in requests]
    while engine.busy:
        engine.step()
    return [[token.id for token in engine.fetch(name)] for name in names]


def in_the_page(params: SamplingParams) -> dict[str, Any]:
    return {
        "temperature": params.temperature,
        "topK": params.top_k,
        "topP": params.top_p,
        "minP": params.min_p,
        "repetitionPenalty": params.repetition_penalty,
    }


@torch.inference_mode()
def test_a_thousand_seeds_draw_the_tokens_of_the_engine(lab: Lab, page: Any) -> None:
    model, tokenizer = gg.load_run(lab.runs / "text")
    ids = tokenizer.encode(TEXT)
    logits = model(torch.tensor([ids]))[0, -1]  # (V,)
    engine = Engine(model, max_batch=50)
    lab.open(page, "text", "bench", TEXT)
    drawn = page.evaluate(DRAW, [logits.tolist(), ids, [in_the_page(each) for each in SETTINGS], N_SEEDS])
    for params, tokens in zip(SETTINGS, drawn, strict=True):
        requests = [Request(ids, params, max_new_tokens=1, seed=seed) for seed in range(N_SEEDS)]
        assert tokens == [token for (token,) in engine_tokens(engine, requests)]
    assert len({tuple(tokens) for tokens in drawn}) == len(SETTINGS)


def test_a_written_text_is_the_engines(lab: Lab, page: Any) -> None:
    model, tokenizer = gg.load_run(lab.runs / "text")
    ids = tokenizer.encode(TEXT)
    (expected,) = engine_tokens(Engine(model), [Request(ids, max_new_tokens=20, seed=0)])
    lab.open(page, "text", "bench", TEXT)
    page.locator("[data-curve]").wait_for()
    page.get_by_role("button", name="Draw 20").click()
    page.locator("[data-tree] button").nth(20).wait_for()
    titles = page.locator("[data-text] .written").evaluate_all("all => all.map((each) => each.title)")
    assert titles == [f"#{id}" for id in expected]
    assert page.locator("[data-engine]").get_attribute("data-engine") == page.locator(
        "[data-drawn]"
    ).get_attribute("data-drawn")


@torch.inference_mode()
def test_every_number_of_the_bench_is_the_models(lab: Lab, page: Any) -> None:
    model, tokenizer = gg.load_run(lab.runs / "text")
    logits = model(torch.tensor([tokenizer.encode(TEXT)]))[0, -1]  # (V,)
    lab.open(page, "text", "bench", TEXT)
    page.locator("[data-curve]").wait_for()
    page.get_by_role("slider", name="top-k").fill("30")
    k = int(page.locator("[data-setting=top_k]").inner_text())
    rows = page.locator("tr[data-id]").evaluate_all(
        """all => all.map((row) => [row.dataset.id,
            ...["logit", "plain", "p"].map((name) => row.querySelector(`[data-${name}]`).textContent)])"""
    )
    ids = torch.tensor([int(id) for id, *_ in rows])
    columns = [torch.tensor([number(row[at]) for row in rows]) for at in (1, 2, 3)]
    p = gg.generate.sampling.probabilities(logits[None], SamplingParams(top_k=k))[0]
    for shown, expected, decimals in zip(columns, (logits, logits.softmax(-1), p), (3, 4, 4), strict=True):
        assert_shown(shown, expected[ids], decimals)
    assert int((columns[2] == 0).sum()) == len(ids) - k


def test_branches_stay(lab: Lab, page: Any) -> None:
    lab.open(page, "text", "bench", TEXT)
    page.locator("[data-curve]").wait_for()
    for at in (0, 1):
        page.get_by_role("button", name="Start again").click() if at else None
        page.locator("tr[data-id] button").nth(at).click()
        page.locator("[data-tree] button").nth(1 + at).wait_for()
    assert page.locator("[data-tree] li").count() == 3
