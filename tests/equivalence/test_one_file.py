"""The models that one reads in one file are those that the library trains."""

from __future__ import annotations

import importlib.util
import math
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from glassgpt.config import ModelConfig
from glassgpt.models import build

EXAMPLES = Path(__file__).parents[2] / "examples"


def loaded(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, EXAMPLES / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def one_file() -> ModuleType:
    return loaded("gpt_in_one_file")


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


@pytest.fixture(scope="module")
def lecture() -> ModuleType:
    return loaded("lecture_gpt")


def fill_from_library(theirs: torch.nn.Module, ours: torch.nn.Module, n_layer: int) -> None:
    """Copy the weights of the `gpt2` preset into the modules of the lecture, one matrix for each head."""
    state, found = ours.state_dict(), {}
    for name in theirs.state_dict():
        if name.endswith("tril"):
            found[name] = theirs.state_dict()[name]
        elif match := re.fullmatch(r"body\.(\d+)\.attn\.heads\.(\d+)\.(query|key|value)\.(\w+)", name):
            layer, head, part, kind = match.groups()
            rows = state[f"blocks.{layer}.attn.qkv.{kind}"].chunk(3)[["query", "key", "value"].index(part)]
            size = theirs.state_dict()[name].shape[0]
            found[name] = rows[int(head) * size : (int(head) + 1) * size]
        else:
            ours_name = re.sub(r"^body\.(\d+)\.(?=\w+\.)", r"blocks.\1.", name)
            found[name] = state[ours_name.replace(f"body.{n_layer}.", "norm_f.")]
    theirs.load_state_dict(found)


@pytest.mark.parametrize("size", ["nano", "micro"])
def test_the_lectures_gpt_is_the_gpt2_preset(lecture: ModuleType, size: str) -> None:
    config = ModelConfig.model_validate(dict(size=size, preset="gpt2"))
    library = build(config, 65)
    with torch.no_grad():
        for name, p in library.named_parameters():
            p.normal_(mean=float("norm" in name and name.endswith("weight")), std=0.1)
    theirs = lecture.RUNGS["gpt"](
        lecture.Config(65, config.n_layer, config.n_head, config.n_embd, config.block_size)
    )
    fill_from_library(theirs, library, config.n_layer)
    for T in (1, config.block_size // 2, config.block_size):
        tokens = torch.randint(65, (4, T))
        torch.testing.assert_close(theirs(tokens), library(tokens), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("rung", ["bigram", "head", "heads", "block", "gpt"])
def test_every_rung_of_the_lecture_learns(
    lecture: ModuleType, rung: str, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    text = "the quick brown fox jumps over the lazy dog. " * 60
    model, characters = lecture.train(text, steps=60, rung=rung)
    printed = capsys.readouterr().out.splitlines()
    first, last = (float(line.split()[-2]) for line in (printed[0], printed[-1]))
    if rung != "bigram":  # whose table begins with N(0, 1): a variance of 1 costs about 1/2 more
        assert first == pytest.approx(math.log(len(characters)), abs=0.05)
    assert last < 1.5
    start = torch.zeros(2, 1, dtype=torch.long)
    assert lecture.generate(model, start, 70, block_size=64).shape == (2, 71)


def test_what_the_lecture_never_trains_is_a_buffer(lecture: ModuleType) -> None:
    model = lecture.RUNGS["gpt"](lecture.Config(65))
    assert not [name for name, _ in model.named_parameters() if "tril" in name]
    assert len([name for name, _ in model.named_buffers() if "tril" in name]) == 16
    assert len(Path(str(lecture.__file__)).read_text("utf-8").splitlines()) < 200
