"""Runs that begin with another run: what they take over, what they refuse, and that they need it no more."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from glassgpt.checkpoint import Run, load_run, load_with_adapter, read_tensors, save_adapter, steps
from glassgpt.config import RunConfig, resolve
from glassgpt.data import CHAT_SPECIALS
from glassgpt.errors import UserError
from glassgpt.tokenizers import load_tokenizer, train_tokenizer
from glassgpt.train import resume, start
from glassgpt.train.finetune import base_layer
from glassgpt.train.vocabulary import resize_embeddings
from helpers import conversations

TEXT = "".join(f"{i} geese, {i * 7 % 31} swans, {i * 5 % 13} ashore.\n" for i in range(100))
LETTERS = "".join(map(chr, range(33, 127)))
"""A base text with them knows all characters of the conversations."""
TRAIN = {"steps": 6, "evals": 2, "sample_tokens": 0, "micro_batch_size": 4}


def settings(source: Path, base: Path | None = None, **tables: dict[str, Any]) -> RunConfig:
    made = {"data": {"sources": [str(source)]}, "train": TRAIN | tables.pop("train", {}), **tables}
    return RunConfig.model_validate(made | ({"init_from": {"run": str(base)}} if base else {}))


def on_base(config: RunConfig) -> RunConfig:
    """The configuration with what it takes from its base run."""
    resolved = resolve(config)
    return resolve(resolved.given, [base_layer(resolved)]).config


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("base")
    (folder / "text.txt").write_text(LETTERS + "\n" + TEXT)
    shape = {"n_layer": 1, "n_embd": 32, "n_head": 2, "block_size": 32}
    session = start(settings(folder / "text.txt", model=shape), folder / "run")
    list(session.run())
    return folder / "run"


@pytest.fixture
def chat(tmp_path: Path) -> Path:
    return conversations.write(tmp_path / "chat.jsonl", 60)


def first(session: Any) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in session.trainer.model.named_parameters()}


@pytest.mark.parametrize("rank", [0, 4])
def test_a_run_begins_where_the_other_ended(base: Path, tmp_path: Path, rank: int) -> None:
    more = tmp_path / "more.txt"
    more.write_text(TEXT[::-1])
    session = start(settings(more, base, model={"lora_rank": rank}), tmp_path / "run")
    theirs = read_tensors(Run(base).best_checkpoint(), "model")
    before = first(session)
    assert all(torch.equal(before[name], theirs[name]) for name in theirs)
    list(session.run())
    assert Run(tmp_path / "run").tokenizer().specials == {}
    stored = Run(tmp_path / "run").config()
    assert stored.init_from.run == str(base) and stored.init_from.step == Run(base).best_checkpoint().name
    assert len(stored.init_from.sha256) == 64 and stored.model.lora_rank == rank
    assert stored.optim.lr is not None and stored.optim.lr < 0.02
    last = read_tensors(steps(tmp_path / "run" / "checkpoints")[0], "model")
    assert all(torch.equal(last[name], theirs[name]) for name in theirs) == (rank > 0)


@pytest.mark.parametrize("rank", [0, 4])
def test_it_needs_the_other_run_no_more(base: Path, chat: Path, tmp_path: Path, rank: int) -> None:
    shutil.copytree(base, tmp_path / "copy")
    session = start(settings(chat, tmp_path / "copy", model={"lora_rank": rank}), tmp_path / "run")
    list(session.run())
    shutil.rmtree(tmp_path / "copy")
    stored = Run(tmp_path / "run").config()
    longer = stored.model_copy(update={"train": stored.train.model_copy(update={"steps": 8})})
    list(resume(tmp_path / "run", longer).run())
    model, tokenizer = load_run(tmp_path / "run")
    assert model.config.lora_rank == 0 and tokenizer.n_vocab == model.n_vocab
    apart = Run(tmp_path / "run").model(merged=False)
    tokens = torch.randint(model.n_vocab, (2, 20))
    torch.testing.assert_close(model(tokens), apart(tokens), atol=1e-5, rtol=1e-5)


def test_chat_adds_its_tokens_and_a_longer_block(base: Path, chat: Path, tmp_path: Path) -> None:
    session = start(settings(chat, base, model={"lora_rank": 2}), tmp_path / "run")
    known, ours = Run(base).tokenizer(), session.data.tokenizer
    assert list(ours.specials) == list(CHAT_SPECIALS) and ours.n_vocab == known.n_vocab + 4
    assert ours.encode("7 geese") == known.encode("7 geese")
    config = session.trainer.config
    assert config.model.block_size == 256 and config.model.new_tokens == 4
    list(session.run())
    again = start(settings(chat, tmp_path / "run", model={"lora_rank": 2}), tmp_path / "again")
    assert again.trainer.config.model.new_tokens == 0 and again.data.tokenizer.n_vocab == ours.n_vocab


@pytest.mark.parametrize(
    ("tables", "says"),
    [
        ({"model": {"n_layer": 2}}, "`model.n_layer` 2 contradicts .* where it is 1"),
        ({"model": {"size": "mini"}}, "`model.size` mini contradicts"),
        ({"model": {"family": "bigram"}}, "`model.family` bigram contradicts"),
        ({"tokenizer": {"kind": "bpe"}}, "`tokenizer.kind` bpe contradicts .* where it is char"),
    ],
)
def test_contradictions_are_named(base: Path, chat: Path, tables: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        on_base(settings(chat, base, **tables))
    same = on_base(settings(chat, base, model={"n_layer": 1, "dropout": 0.1}))
    assert same.model.dropout == 0.1 and same.model.n_embd == 32


@pytest.mark.parametrize("rank", [0, 2])
def test_new_characters_get_rows_that_are_trained(base: Path, tmp_path: Path, rank: int) -> None:
    (tmp_path / "text.txt").write_text("Größe ñ\n" * 40 + TEXT + "é", "utf-8")
    session = start(settings(tmp_path / "text.txt", base, model={"lora_rank": rank}), tmp_path / "run")
    [note] = [note for note in session.notes if "does not know" in note]
    assert "3 characters" in note and "grows by 3 tokens" in note and all(letter in note for letter in "ößñ")
    assert ("embedding and head are trained as a whole" in note) == (rank > 0)
    known, ours = Run(base).tokenizer(), session.data.tokenizer
    theirs, began = read_tensors(Run(base).best_checkpoint(), "model"), first(session)
    for char in "g\n7~":
        ([old], [new]) = known.encode(char), ours.encode(char)
        assert torch.equal(theirs["wte.weight"][old], began["wte.weight"][new])
        assert torch.equal(theirs["lm_head.weight"][old], began["lm_head.weight"][new])
    [row] = ours.encode("ß")
    list(session.run())
    merged = load_run(tmp_path / "run")[0].state_dict()
    assert not torch.equal(merged["wte.weight"][row], began["wte.weight"][row])
    assert Run(tmp_path / "run").tokenizer().decode(ours.encode("Größe é")) == "Größe é"
    if rank:
        file = save_adapter(tmp_path / "run", tmp_path / "a.safetensors")
        model, tokenizer = load_with_adapter(base, file)
        assert tokenizer.spec() == Run(tmp_path / "run").tokenizer().spec()
        assert all(torch.equal(a, merged[name]) for name, a in model.state_dict().items())


def test_ngram_embeddings_keep_their_vocabulary(tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    shape = {"preset": "speedrun", "n_layer": 1, "n_embd": 32, "n_head": 2, "ngram_rows": 64}
    list(start(settings(tmp_path / "text.txt", model=shape), tmp_path / "base").run())
    (tmp_path / "more.txt").write_text("Größe\n" * 40 + TEXT, "utf-8")
    session = start(settings(tmp_path / "more.txt", tmp_path / "base"), tmp_path / "run")
    assert session.data.tokenizer.n_vocab == Run(tmp_path / "base").tokenizer().n_vocab
    assert any("each is learned as its bytes" in note for note in session.notes)


def test_given_rates_stay(base: Path, chat: Path) -> None:
    optim = on_base(settings(chat, base, optim={"muon_lr": 0.5})).optim
    assert optim.muon_lr == 0.5 and optim.peak_lrs["lr"] < 0.02


def test_learned_places_cannot_grow(chat: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    shape = {"preset": "gpt2", "n_layer": 1, "n_embd": 32, "n_head": 2, "block_size": 64}
    list(start(settings(tmp_path / "text.txt", model=shape), tmp_path / "base").run())
    with pytest.raises(UserError, match=r"`model\.block_size` 128 contradicts"):
        on_base(settings(chat, tmp_path / "base", model={"block_size": 128}))
    session = start(settings(chat, tmp_path / "base"), tmp_path / "run")
    assert session.trainer.config.model.block_size == 64


def test_other_families_are_refused(chat: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    list(start(settings(tmp_path / "text.txt", model={"family": "bigram"}), tmp_path / "base").run())
    with pytest.raises(UserError, match=r"is a bigram\. Only a gpt"):
        on_base(settings(chat, tmp_path / "base"))


def test_adapters_need_a_run() -> None:
    with pytest.raises(ValueError, match=r"needs a trained base model\. Name its run with `init_from\.run`"):
        RunConfig.model_validate({"model": {"lora_rank": 4}})


def test_new_rows() -> None:
    old = {
        "wte.weight": torch.randn(40, 8) * 3 + 1,
        "lm_head.weight": torch.randn(40, 8),
        "norm_f.weight": torch.ones(8),
    }
    rows44 = [*range(40), -1, -1, -1, -1]
    new = resize_embeddings(old, rows44, seed=1)
    assert all(torch.equal(new[name][:40], old[name][:40]) for name in old)
    assert torch.allclose(new["lm_head.weight"][40:], old["lm_head.weight"].mean(0).expand(4, -1))
    rows = new["wte.weight"][40:]
    assert len(rows.unique(dim=0)) == 4 and 1 < rows.std() < 6
    assert torch.equal(rows, resize_embeddings(old, rows44, seed=1)["wte.weight"][40:])
    tied = resize_embeddings({"wte.weight": old["wte.weight"]}, rows44, seed=1)["wte.weight"]
    assert torch.allclose(tied[40:], tied[:40].mean(0).expand(4, -1))
    assert resize_embeddings(old, range(40), seed=1).keys() == old.keys()
    moved = resize_embeddings(old, [-1, *range(40)], seed=1)
    assert all(torch.equal(moved[name][1:], old[name]) for name in ("wte.weight", "lm_head.weight"))


@pytest.mark.parametrize("kind", ["char", "byte", "bpe"])
def test_tokenizers_with_more_specials(kind: str, tmp_path: Path) -> None:
    before = train_tokenizer(kind, [TEXT], vocab_size=300, specials=["<eos>"])
    after = before.with_specials(["<eos>", *CHAT_SPECIALS])
    assert after.specials == before.specials | {s: before.n_vocab + i for i, s in enumerate(CHAT_SPECIALS)}
    assert (
        after.encode(TEXT + "<end>é") == before.encode(TEXT + "<end>é")
        and after.n_vocab == before.n_vocab + 4
    )
    after.save(tmp_path / "tokenizer.json")
    assert load_tokenizer(tmp_path / "tokenizer.json").specials == after.specials
