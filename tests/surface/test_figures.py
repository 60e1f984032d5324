"""Figures in README and guide agree with the models, and with benchmarks/results."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from glassgpt.config import ModelConfig
from glassgpt.models import build

ROOT = Path(__file__).parents[2]


def results(name: str) -> dict[str, Any]:
    return json.loads((ROOT / "benchmarks/results" / f"{name}.json").read_text("utf-8"))


def millions(n_vocab: int, **fields: str) -> float:
    with torch.device("meta"):
        return build(ModelConfig.model_validate(fields), n_vocab).n_params / 1e6


@pytest.mark.parametrize("size", ["nano", "micro", "mini", "small"])
def test_sizes_are_those_of_the_guide(size: str) -> None:
    guide = (ROOT / "docs/guide/options.md").read_text("utf-8")
    row = next(line for line in guide.splitlines() if line.startswith(f"| `{size}` |"))
    shape, *figures = [cell.strip() for cell in row.split("|")[2:-1]]
    config = ModelConfig.model_validate({"size": size})
    assert shape == f"{config.n_layer} × {config.n_embd}"
    found = [
        millions(321, size=size),
        millions(4096, size=size),
        millions(50_257, size=size, preset="gpt2"),
        millions(321, size=size, preset="speedrun"),
    ]
    assert [float(figure) for figure in figures] == pytest.approx(found, rel=0.005)


def test_the_blocks_of_each_size_are_those_of_the_help() -> None:
    source = (ROOT / "src/glassgpt/config/model.py").read_text("utf-8")
    stated = re.search(r"of ([\d.]+), ([\d.]+),\s+(\d+) and (\d+) M\s+parameters", source)
    assert stated
    found = [millions(1, size=size) for size in ("nano", "micro", "mini", "small")]
    assert [float(figure) for figure in stated.groups()] == pytest.approx(found, rel=0.1)


def test_the_demo_of_the_readme_is_the_measured_one() -> None:
    readme, found = (ROOT / "README.md").read_text("utf-8"), results("demo")
    for name, nats in found["nats_per_char"].items():
        row = re.search(rf"^{name} +(\d\.\d+) ", readme, re.MULTILINE)
        assert row, name
        assert float(row[1]) == pytest.approx(nats, abs=6e-4), name
    machine = found["machine"]
    cores = {2: "two cores"}.get(machine["cores"], f"{machine['cores']} cores")
    assert cores in readme and machine["when"][:10] in readme


def test_the_speed_of_int8_in_the_guide_is_the_measured_one() -> None:
    guide = (ROOT / "docs/guide/writing.md").read_text("utf-8")
    assert "int8     # weights of one byte: two to three times as fast" in guide
    peers = [results(f"generate-{size}")["peers"] for size in ("mini", "small")]
    ratios = [each["GlassGPT gpt2, int8"]["over_glassgpt_gpt2"] for each in peers]
    assert 1.9 < min(ratios) and max(ratios) < 3.4


@pytest.mark.parametrize(
    ("stated", "name"), [("860", "GlassGPT gpt2, 500 tokens"), ("27", "nanoGPT, 500 tokens")]
)
def test_the_speed_of_generation_in_the_guide_is_the_measured_one(stated: str, name: str) -> None:
    guide = (ROOT / "docs/guide/speed.md").read_text("utf-8")
    assert re.search(rf"\b{stated}\b", guide)
    assert results("generate-mini")["peers"][name]["tokens_per_s"] == pytest.approx(float(stated), rel=0.02)
