"""An imported model is a run like any other: it writes, chats, shows its inside, is tuned and exported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import glassgpt as gg
from glassgpt.data import Message
from glassgpt.interop import export
from glassgpt.train import import_pretrained

pytest.importorskip("transformers")
from helpers import foreign


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("imported")
    foreign.save(folder / "model", "Qwen3", "chat", dtype=torch.bfloat16)
    return import_pretrained(folder / "model", folder / "run", compare=False).path


def test_it_writes_and_chats(run: Path) -> None:
    model, tokenizer = gg.load_run(run)
    assert "".join(gg.sample_text(model, tokenizer, "The ", max_new_tokens=20, seed=1))
    said = gg.reply(model, tokenizer, [Message("user", "Hello")], max_new_tokens=10, seed=1)
    assert isinstance("".join(said), str)


def test_it_is_looked_into_and_ablated(run: Path) -> None:
    model, tokenizer = gg.load_run(run)
    trace = gg.trace(model, tokenizer, "The moon")
    assert trace.next_tokens is not None
    tokens = torch.tensor([tokenizer.encode("The moon sees")])
    with torch.no_grad(), gg.edit(model, {"blocks.0.attn.heads": gg.zero_heads(1)}):
        changed = model(tokens)
    with torch.no_grad():
        assert not torch.equal(changed, model(tokens))


@pytest.mark.parametrize("rank", [0, 4])
def test_it_is_fine_tuned(run: Path, tmp_path: Path, rank: int) -> None:
    (tmp_path / "text.txt").write_text("".join(f"The moon sees {i * 7 % 31} boats.\n" for i in range(300)))
    config = gg.RunConfig.model_validate(
        {
            "data": {"sources": [str(tmp_path / "text.txt")]},
            "init_from": {"run": str(run)},
            "model": {"lora_rank": rank},
            "train": {"steps": 3, "evals": 1, "device": "cpu", "sample_tokens": 2},
        }
    )
    session = gg.start(config, out=tmp_path / "tuned")
    for _ in session.run():
        pass
    before, after = gg.load_run(run)[0], gg.load_run(tmp_path / "tuned")[0]
    assert after.config.head_size == 16 and after.config.n_kv_head == 2
    assert not torch.equal(before.blocks[0].attn.qkv.weight, after.blocks[0].attn.qkv.weight)


def test_it_is_exported_again(run: Path, tmp_path: Path) -> None:
    folder, certificate = export(run, "hf", tmp_path / "out")
    assert certificate.is_confirmed
    card = (folder / "README.md").read_text("utf-8")
    assert "imported into GlassGPT from Qwen3ForCausalLM model" in card and "from-scratch" not in card
    again = import_pretrained(folder, tmp_path / "again", compare=False)
    for name, tensor in gg.load_run(run)[0].named_parameters():
        assert torch.equal(dict(again.model().named_parameters())[name], tensor), name


@pytest.mark.parametrize("place", ["tokenizer_config.json", "chat_template.jinja"])
def test_a_chat_template_is_kept_for_an_export(tmp_path: Path, place: str) -> None:
    template = "{% for m in messages %}<|im_start|>{{ m['content'] }}{% endfor %}{{ 1 // 0 }}"  # never run
    foreign.save(tmp_path / "model")
    if place == "tokenizer_config.json":
        foreign.edit_json(tmp_path / "model" / place, chat_template=template)
    else:
        (tmp_path / "model" / place).write_text(template, "utf-8")
    import_pretrained(tmp_path / "model", tmp_path / "run")
    folder, _ = export(tmp_path / "run", "hf", tmp_path / "out")
    stored = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    assert stored["chat_template"] == template
