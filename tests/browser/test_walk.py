"""Every number of the attention walk against the recorder."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import torch
from PIL import Image
from torch import Tensor

import glassgpt as gg
from glassgpt.hooks import record
from glassgpt.lens import Trace
from glassgpt.models import Model
from helpers.browser import Lab, assert_shown, number, shown_tables

pytestmark = pytest.mark.browser
TEXTS = {"text": "the moon", "grouped": "the moon sees", "dates": "de: 14. März 2024"}
STEPS = ("Q, K, V", "Q · Kᵀ", "÷ √d", "mask", "softmax", "· V")
STEP_OF_MATRIX = {"products": "scores", "masked": "masked_scores", "output": "heads"}
CLOSE = 1e-5


def recorded(runs: Path, name: str) -> tuple[Trace, Model]:
    model, tokenizer = gg.load_run(runs / name)
    return gg.trace(model, tokenizer, TEXTS[name], pattern="*"), model


@torch.inference_mode()
def expected(trace: Trace, model: Model, path: str, head: int, part: str) -> Tensor:
    """Return the matrix that a heat map of one head must show."""
    attention = model.get_submodule(path)
    H, H_kv, D = attention.n_head, attention.n_kv_head, attention.head_dim
    kv = head * H_kv // H
    if part == "x":
        block, kind = path.rsplit(".", 1)
        norm, state = ("norm_cross", "resid_mid") if kind == "cross_attn" else ("norm_1", "resid_pre")
        return model.get_submodule(f"{block}.{norm}")(trace.tensors[f"{block}.{state}"][None])[0]  # (T, C)
    if part == "W":
        first = (H + H_kv + kv) * D
        return attention.qkv.weight[first : first + D].T  # (C, D)
    if part == "products":
        return trace.tensors[f"{path}.scores"][head] * D**0.5  # (T, S)
    return trace.tensors[f"{path}.{STEP_OF_MATRIX.get(part, part)}"][kv if part in "kv" else head]


def check_head(page: Any, trace: Trace, model: Model, path: str, head: int) -> int:
    """Compare all numbers of all steps of one head. Return how many were compared."""
    page.locator(".choose select").select_option(path)
    page.locator(f".choose .heads button:text-is('{head}')").first.click()
    n = 0
    for step in STEPS:
        # By key: the row of steps scrolls back to the current one, so a click may meet another step.
        page.locator("ol button").filter(has_text=step).last.press("Enter")
        page.locator(f"[data-heatmap^='walk-{path}-{head}-']").first.wait_for()
        if step == STEPS[0]:
            page.locator(f"[data-heatmap='walk-{path}-{head}-x']").wait_for()
        for id, shown in shown_tables(page).items():
            _, of, at, part = id.split("-")
            assert (of, at) == (path, str(head))
            assert_shown(shown, expected(trace, model, path, head, part), 4, id)
            n += shown.numel()
    return n


def attentions(trace: Trace, model: Model) -> Iterator[tuple[str, int]]:
    """Yield the first and the last head of each attention."""
    for path in trace.attentions:
        yield path, 0
        yield path, int(model.get_submodule(path).n_head) - 1


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in ("grouped", "dates")]


@pytest.mark.parametrize("name", ["text", *SLOW])
def test_every_number_of_a_head_is_the_recorders(lab: Lab, page: Any, name: str) -> None:
    trace, model = recorded(lab.runs, name)
    lab.open(page, name, "walk", TEXTS[name])
    page.locator("[data-audit]").wait_for()
    n = 0
    for path, head in attentions(trace, model):
        n += check_head(page, trace, model, path, head)
        assert float(page.locator("[data-audit]").get_attribute("data-audit")) <= CLOSE
    assert n > 500 * len(trace.attentions)


@pytest.mark.slow
def test_every_number_of_the_parts_is_the_recorders(lab: Lab, page: Any) -> None:
    trace, _ = recorded(lab.runs, "text")
    lab.open(page, "text", "walk", TEXTS["text"])
    page.locator("[data-audit]").wait_for()
    for part in page.locator("button.part").all():
        part.click()
    page.locator("[data-heatmap='norm_f']").wait_for()
    tables = {id: shown for id, shown in shown_tables(page).items() if not id.startswith("walk-")}
    assert {"blocks.0.resid_pre", "blocks.1.mlp.hidden", "norm_f"} <= tables.keys()
    for id, shown in tables.items():
        assert_shown(shown, trace.tensors[id], 4, id)


def test_a_changed_trace_fails_the_audit_and_the_comparison(lab: Lab, page: Any) -> None:
    def change(route: Any) -> None:
        answer = route.fetch()
        numbers = torch.frombuffer(bytearray(answer.body()), dtype=torch.float32)
        numbers[-1] += 0.001
        route.fulfill(response=answer, body=numbers.numpy().tobytes())

    page.route("**/blocks.1.attn.weights?head=3", change)
    trace, model = recorded(lab.runs, "text")
    lab.open(page, "text", "walk", TEXTS["text"])
    with pytest.raises(AssertionError, match=r"blocks\.1\.attn-3-weights: differs by 0\.00[01]"):
        check_head(page, trace, model, "blocks.1.attn", 3)
    assert float(page.locator("[data-audit]").get_attribute("data-audit")) > CLOSE
    assert "failed" in page.locator("[data-audit]").get_attribute("class")


def test_switches_are_followed_to_the_next_token(lab: Lab, page: Any) -> None:
    model, tokenizer = gg.load_run(lab.runs / "text")
    ids = torch.tensor([tokenizer.encode(TEXTS["text"])])
    D = model.config.head_dim
    edits = {f"blocks.{layer}.attn.scores": lambda scores: scores * D**0.5 for layer in range(2)}
    with torch.inference_mode(), record(model, "logits", edits=edits) as seen:
        model(ids)
    lab.open(page, "text", "walk", TEXTS["text"])
    page.get_by_role("checkbox").first.uncheck()
    page.locator("[data-moved]").wait_for()
    shown = [number(cell) for cell in page.locator("[data-next] td[data-p$=',1']").all_text_contents()]
    p = seen["logits"][0, -1].softmax(-1).sort(descending=True).values
    assert_shown(torch.tensor(sorted(shown, reverse=True)[:6]), p[:6], 4)
    assert float(page.locator("[data-audit]").get_attribute("data-audit")) <= CLOSE


def test_a_walk_by_keys_alone(lab: Lab, page: Any) -> None:
    lab.open(page, "text", "walk", TEXTS["text"])
    rail = page.get_by_role("group", name="Steps; arrow keys go back and forth")
    rail.get_by_role("button", name="2. Q · Kᵀ").focus()
    for step in (3, 4, 5):
        page.keyboard.press("ArrowRight")
        assert rail.locator("[aria-current=step]").inner_text().startswith(f"{step}.")
    map = page.locator("[data-heatmap$='-weights'] svg")
    map.focus()
    for key in ("ArrowUp", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    trace, _ = recorded(lab.runs, "text")
    weight = trace.tensors["blocks.0.attn.weights"][0, -2, -4].item()
    assert number(page.locator("[data-result]").inner_text()) == pytest.approx(weight, abs=1e-4)


def saved(page: Any, place: str, ending: str) -> Path:
    """Save what a button of a picture saves; return the file."""
    with page.expect_download() as saving:
        page.locator(place).get_by_role("button", name=ending, exact=True).press("Enter")
    assert saving.value.suggested_filename.endswith(f".{ending.lower()}")
    return Path(saving.value.path())


def test_pictures_and_numbers_are_saved(lab: Lab, page: Any) -> None:
    """The SVG has a title and all cells, the PNG twice its size, the CSV all numbers."""
    trace, _ = recorded(lab.runs, "text")
    weights = trace.tensors["blocks.0.attn.weights"][0]  # (T, T)
    lab.open(page, "text", "walk", TEXTS["text"])
    page.locator("[data-audit]").wait_for()
    page.locator("ol button").filter(has_text="softmax").last.press("Enter")
    heat = "[data-heatmap$='-weights']"
    svg = ElementTree.parse(saved(page, heat, "SVG")).getroot()
    names = [each.tag.rpartition("}")[2] for each in svg.iter()]
    assert names.count("rect") == weights.numel() and svg[0].text and svg[0].text.startswith("softmax")
    with Image.open(saved(page, heat, "PNG")) as picture:
        assert picture.size == tuple(int(2 * float(svg.attrib[side])) for side in ("width", "height"))
    page.get_by_role("button", name="graph", exact=True).press("Enter")
    _, *rows = csv.reader(saved(page, "[data-graph]", "CSV").read_text("utf-8").splitlines())
    numbers = torch.tensor([[float(value) for value in row[1:]] for row in rows])
    assert torch.allclose(numbers, weights, atol=1e-6)
    assert "<path" in saved(page, "[data-graph]", "SVG").read_text("utf-8")


WHOLE_LABELS = """() => {
  const cut = (svg) => {
    const around = svg.getBoundingClientRect();
    const above = svg.closest("figure").querySelector("figcaption").getBoundingClientRect().bottom;
    return [...svg.querySelectorAll("text")].some((each) => {
      const { left, right, top } = each.getBoundingClientRect();
      return left < around.left - 0.5 || right > around.right + 0.5 || top < above - 0.5;
    });
  };
  const maps = [...document.querySelectorAll("[data-heatmap] svg")];
  return maps.length > 0 && !maps.some(cut);
}"""


def test_no_label_of_a_heat_map_is_cut(lab: Lab, page: Any) -> None:
    """The widest letters, as labels of rows and columns."""
    lab.open(page, "text", "walk", "mmm WMW")
    page.locator("[data-audit]").wait_for()
    page.wait_for_function(WHOLE_LABELS, timeout=15_000)  # once the page knows its width
