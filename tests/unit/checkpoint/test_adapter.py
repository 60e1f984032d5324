"""Adapters in a file of their own: the same function as the run's, and refused where they do not belong."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from glassgpt.checkpoint import load_run, load_with_adapter, save_adapter
from glassgpt.errors import UserError
from helpers import conversations
from helpers.commands import run as command

TEXT = "".join(f"{i} geese, {i * 7 % 31} swans, {i * 5 % 13} ashore.\n" for i in range(100))
QUICK = ["--steps", "4", "--evals", "1", "--sample-tokens", "0"]


@pytest.fixture(scope="module", params=["modern", "gpt2"])
def desk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run `base` of a text, and `tuned`, which has adapters for conversations."""
    folder = tmp_path_factory.mktemp("desk")
    letters = "".join(map(chr, range(33, 127)))  # with them, no letter of the conversations is new
    (folder / "text.txt").write_text(f"{letters}\n{TEXT}")
    conversations.write(folder / "chat.jsonl", 60)
    shape = ["--preset", request.param, "--n-layer", "1", "--n-embd", "32", "--block-size", "96"]
    command(folder, "train", "text.txt", *shape, *QUICK, "--out", "base")
    out = command(
        folder, "train", "chat.jsonl", "--from", "base", "--lora-rank", "4", *QUICK, "--out", "tuned"
    )
    assert "of base" in out and "adapters   of rank 4" in out
    assert " kB" in command(folder, "adapter", "tuned", "a.safetensors")
    return folder


def test_the_same_function(desk: Path) -> None:
    model, tokenizer = load_run(desk / "tuned")
    other, known = load_with_adapter(desk / "base", desk / "a.safetensors")
    assert known.specials == tokenizer.specials and other.config == model.config
    tokens = torch.randint(model.n_vocab, (2, 30))
    torch.testing.assert_close(other(tokens), model(tokens), atol=1e-5, rtol=1e-5)
    assert (desk / "a.safetensors").stat().st_size < 40_000


def test_chat_beside_the_base(desk: Path) -> None:
    asked = ["--temperature", "0", "--max-new-tokens", "9"]
    apart = command(desk, "chat", "base", "--adapter", "a.safetensors", *asked, stdin=b"Spell abc.\n")
    assert apart == command(desk, "chat", "tuned", *asked, stdin=b"Spell abc.\n")


def test_refusals(desk: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="exists already"):
        save_adapter(desk / "tuned", desk / "a.safetensors")
    with pytest.raises(UserError, match="has no adapters"):
        save_adapter(desk / "base", tmp_path / "b.safetensors")
    with pytest.raises(UserError, match="belongs to other weights"):
        load_with_adapter(desk / "tuned", desk / "a.safetensors")
    (tmp_path / "text").write_text(TEXT)
    for file in (tmp_path / "text", tmp_path / "nowhere"):
        with pytest.raises(UserError, match=str(file)):
            load_with_adapter(desk / "base", file)
    said = command(desk, "chat", "base", "--adapter", "text.txt", stdin=b"hi\n", code=2)
    assert "text.txt" in said


def test_damaged_adapters(desk: Path, tmp_path: Path) -> None:
    from safetensors import safe_open

    with safe_open(desk / "a.safetensors", "pt") as opened:
        about = json.loads(opened.metadata()["about"])
    tensors = load_file(desk / "a.safetensors")
    one = next(iter(tensors))

    def refused(tensors: dict[str, torch.Tensor], says: str, **more: object) -> None:
        file = tmp_path / "x.safetensors"
        save_file(tensors, file, {"about": json.dumps(about | more)})
        with pytest.raises(UserError, match=says):
            load_with_adapter(desk / "base", file)

    refused({name: t for name, t in tensors.items() if name != one}, "does not fit the model")
    refused(tensors | {one: tensors[one][:1].clone()}, "does not fit the model")
    refused(tensors | {one: tensors[one].half()}, "does not fit the model")
    refused(tensors, "does not fit the model", rank=2)
    refused(tensors, "is no adapter", rank="4")
    refused(tensors, "is no adapter", format="other")
    refused(tensors, "is no adapter", specials=[3])
