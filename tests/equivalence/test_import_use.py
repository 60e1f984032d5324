"""An imported model is a run like any other: it writes, chats, shows its inside, is tuned and exported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import glassgpt as gg
from glassgpt.data import ChatTemplate, Message
from glassgpt.data.batches.chat_format import FORMATS
from glassgpt.interop import export
from glassgpt.interop.chat import CONVERSATION
from glassgpt.train import import_pretrained

transformers = pytest.importorskip("transformers")
from helpers import commands, foreign  # noqa: E402


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


CHATML = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>' + '\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
LLAMA3 = (
    "{{ '<|begin_of_text|>' }}{% for m in messages %}{{ '<|start_header_id|>' + m['role'] }}"
    "{{ '<|end_header_id|>\n\n' + m['content'] | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}"
)


@pytest.mark.parametrize(
    ("template", "format", "end"), [(CHATML, "ChatML", "<|im_end|>"), (LLAMA3, "Llama 3", "<|eot_id|>")]
)
def test_a_model_of_others_chats_in_its_own_format(
    tmp_path: Path, template: str, format: str, end: str
) -> None:
    names = next(each.specials for each in FORMATS if each.name == format)
    foreign.save(tmp_path / "model", "Qwen3", "bpe", n_padding=len(names))
    tokenizer = gg.load_tokenizer(tmp_path / "model" / "tokenizer.json").with_specials(names)
    tokenizer.save(tmp_path / "model" / "tokenizer.json")
    settings = tmp_path / "model" / "tokenizer_config.json"
    foreign.edit_json(settings, chat_template=template, eos_token=end)
    with pytest.warns(UserWarning, match=f"writes messages as {format}"):
        run = import_pretrained(tmp_path / "model", tmp_path / "run")
    ours = ChatTemplate(run.tokenizer())
    talk = [*CONVERSATION, Message("assistant", "2, I said"), Message("user", f"{end} no\n")]
    transformed = transformers.AutoTokenizer.from_pretrained(tmp_path / "model")
    theirs = transformed.apply_chat_template(
        [{"role": each.role, "content": each.content} for each in talk if end not in each.content],
        add_generation_prompt=True,
        return_dict=False,
    )
    assert ours.prompt(each for each in talk if end not in each.content) == theirs
    assert ours.prompt(talk).count(tokenizer.specials[end]) == len(
        talk
    )  # a user's text is no token of a role
    said = commands.run(tmp_path, "chat", "run", "--max-new-tokens", "4", "--seed", "1", stdin=b"Hello\n")
    assert "Traceback" not in said
    folder, _ = export(tmp_path / "run", "hf", tmp_path / "out")
    stored = json.loads((folder / "tokenizer_config.json").read_text("utf-8"))
    assert (stored["chat_template"], stored["eos_token"]) == (template, end)
    assert json.loads((folder / "config.json").read_text("utf-8"))["eos_token_id"] == tokenizer.specials[end]
