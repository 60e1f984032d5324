"""The model that one reads in one file is the model that the library trains."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from glassgpt.config import ModelConfig
from glassgpt.models import build

FILE = Path(__file__).parents[2] / "examples" / "gpt_in_one_file.py"


@pytest.fixture(scope="module")
def one_file() -> ModuleType:
    spec = importlib.util.spec_from_file_location("gpt_in_one_file", FILE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("size", ["nano", "micro"])
def test_same_weights_same_logits(one_file: ModuleType, size: str) -> None:
    config = ModelConfig.model_validate(dict(size=size))
    library = build(config, 65)
    with torch.no_grad():
        for p in library.parameters():
            p.normal_(mean=float(p.ndim == 1), std=0.1)
    theirs = one_file.GPT(
        one_file.Config(65, config.n_layer, config.n_head, config.n_embd, config.block_size, config.hidden)
    )
    theirs.load_state_dict(library.state_dict())
    tokens = torch.randint(65, (4, config.block_size))
    torch.testing.assert_close(theirs(tokens), library(tokens), atol=1e-5, rtol=1e-5)


def test_it_starts_at_ln_v_and_learns(one_file: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    model, characters = one_file.train("the quick brown fox jumps over the lazy dog. " * 60, steps=60)
    printed = capsys.readouterr().out.splitlines()
    first, last = (float(line.split("val ")[1].split()[0]) for line in (printed[0], printed[-1]))
    assert first == pytest.approx(torch.tensor(float(len(characters))).log().item(), abs=1e-3)
    assert last < 0.5
    assert model.generate(torch.zeros(1, 1, dtype=torch.long), 5).shape == (1, 6)
