"""Checkpoints of nanoGPT: what is taken from them, what is refused, and that nothing in them is executed."""

from __future__ import annotations

import json
import os
import pickle
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from glassgpt.checkpoint import Run, read_state, steps
from glassgpt.errors import UserError
from glassgpt.interop import read_nanogpt
from glassgpt.tokenizers import load_tokenizer, train_tokenizer
from glassgpt.train import import_nanogpt, resume
from helpers import nanogpt
from helpers.commands import run as command

FC = "transformer.h.0.mlp.c_fc.weight"


def imported(folder: Path, found: object, **options: Any) -> Run:
    path = nanogpt.save(folder, found, **options)
    return import_nanogpt(path, folder / "run", text=folder / "input.txt", device="cpu")


def assert_refused(folder: Path, says: str) -> None:
    """On the command line: exit code 2, one message, no traceback, nothing left."""
    said = command(folder, "import", "ckpt.pt", "--text", "input.txt", "--out", "runs/new", code=2)
    assert says in said and "ckpt.pt" in said and "Traceback" not in said, said
    assert sorted(path.name for path in folder.iterdir()) == ["ckpt.pt", "input.txt"]


def test_round_trip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    nanogpt.save(tmp_path / "out-char", nanogpt.checkpoint())
    said = command(tmp_path, "import", "out-char/ckpt.pt", "--text", "out-char/input.txt", "--device", "cpu")
    assert "this model" in said and "uniform" in said and "glassgpt sample runs/out-char" in said
    command(tmp_path, "sample", "runs/out-char", "--max-new-tokens", "20", "--seed", "1")
    assert "whole; weights only" in command(tmp_path, "verify", "runs/out-char")
    command(tmp_path, "look", "runs/out-char", "9 green")
    command(tmp_path, "explain", "query-key", "--run", "runs/out-char")
    listed = command(tmp_path, "runs")
    assert "done" in listed and " 50 " in listed and "resume" not in listed
    assert "U+72D0" in command(tmp_path, "sample", "runs/out-char", "--prompt", "狐", code=2)


def test_where_it_is_from_is_kept(tmp_path: Path) -> None:
    run = imported(tmp_path, nanogpt.checkpoint())
    (step,) = steps(run.checkpoints)
    state = read_state(step)
    assert (state["step"], state["best_step"]) == (50, step.name)
    assert state["imported"]["best_val_loss"] == 2.5 and state["imported"]["file"] == "ckpt.pt"
    verdict = json.loads(run.verdict_file.read_text())
    mine = verdict["model"]
    assert state["best"] == run.metrics()[-1]["nats_per_char"]
    assert mine["nats_per_char"] == pytest.approx(state["best"], rel=0.05)  # with more context
    assert run.config().model.dropout == 0.1


def variant(change: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    found = nanogpt.checkpoint()
    change(found)
    return found


def rename(state: dict[str, Any], name: Callable[[str], str]) -> None:
    renamed = {name(key): tensor for key, tensor in state.items()}
    state.clear()
    state.update(renamed)


MASK = torch.ones(8, 8).tril()[None, None]


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda c: rename(c["model"], "_orig_mod.{}".format), {}),  # by torch.compile
        (lambda c: c["model"].update({"transformer.h.0.attn.bias": MASK}), {}),  # by torch before 2.0
        (lambda c: [c["model_args"].pop(name) for name in ("bias", "dropout")], {}),
        (lambda c: c.pop("best_val_loss"), {}),
        (lambda c: None, {"_use_new_zipfile_serialization": False}),
    ],
    ids=["compiled", "masks", "older arguments", "no loss", "older file"],
)
def test_variants_give_the_same(tmp_path: Path, change: Callable, options: dict) -> None:
    plain = imported(tmp_path / "a", nanogpt.checkpoint()).model().state_dict()
    torch.manual_seed(0)
    other = imported(tmp_path / "b", variant(change), **options).model().state_dict()
    torch.manual_seed(0)
    expected = nanogpt.checkpoint()["model"]["transformer.wte.weight"]
    assert plain.keys() == other.keys() and torch.equal(other["wte.weight"], expected)


def test_halves_become_floats(tmp_path: Path) -> None:
    found = nanogpt.checkpoint()
    found["model"] = {name: t.bfloat16() for name, t in found["model"].items()}
    model = imported(tmp_path, found).model()
    assert torch.equal(model.get_parameter("wte.weight"), found["model"]["lm_head.weight"].float())


class Program:
    """A pickle that makes a file when it is executed."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("kind", ["zip", "older", "bare"])
def test_a_program_is_not_executed(tmp_path: Path, kind: str) -> None:
    """Nor would it be harmless: Python's own pickle does execute it."""
    (folder := tmp_path / "here").mkdir()
    program = Program(tmp_path / "executed")
    path = nanogpt.save(
        folder, nanogpt.checkpoint() | {"config": program}, _use_new_zipfile_serialization=kind == "zip"
    )
    if kind == "bare":
        path.write_bytes(pickle.dumps(program, protocol=2))
    assert_refused(folder, "holds more than tensors")
    assert not program.path.exists()
    pickle.loads(pickle.dumps(program))
    assert program.path.exists()


def nan(found: dict[str, Any]) -> None:
    found["model"][FC][3, 4] = torch.nan


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda c: c.pop("model_args"), "model, model_args and iter_num are needed"),
        (lambda c: c.update(iter_num=-1), "model, model_args and iter_num are needed"),
        (lambda c: c["model"].pop(FC), "such as 'transformer.h.0.mlp.c_fc.weight', which the file lacks"),
        (lambda c: c["model"].pop("lm_head.weight"), "which the file lacks"),
        (lambda c: c["model"].update(extra=MASK), "such as 'extra', which nanoGPT's model has not"),
        (lambda c: c["model"].update({f"_orig_mod.{FC}": MASK}), "twice"),
        (lambda c: c["model"].update({FC: 3}), "as a int, not as an ordinary tensor"),
        (lambda c: c["model"].update({FC: c["model"][FC].to_sparse()}), "not as an ordinary tensor"),
        (lambda c: c["model"].update({FC: c["model"][FC].to("meta")}), "not as an ordinary tensor"),
        (lambda c: c["model"].update({FC: c["model"][FC][:, :5].clone()}), "is (64, 5), and (64, 16)"),
        (lambda c: c["model"].update({FC: c["model"][FC].double()}), "holds float32, float64"),
        (lambda c: c["model"].update({"lm_head.weight": c["model"]["lm_head.weight"] + 1}), "shares the two"),
        (nan, "1 of the 1,024 numbers of 'transformer.h.0.mlp.c_fc.weight' are NaN"),
        (lambda c: c["model_args"].update(n_layer=3), "12 tensors are on one side only"),
        (lambda c: c["model_args"].update(n_layer=True), "model_args.n_layer"),
        (lambda c: c["model_args"].update(n_head=3), "multiple of n_head"),
        (lambda c: c["model_args"].update(block_size=10**12), "less than or equal to"),
        (lambda c: c["model_args"].update(rope=True), "model_args.rope"),
    ],
)  # fmt: skip
def test_what_is_not_nanogpt_is_refused(tmp_path: Path, change: Callable, says: str) -> None:
    nanogpt.save(tmp_path, variant(change))
    assert_refused(tmp_path, says)


def test_a_small_file_cannot_ask_for_much_memory(tmp_path: Path) -> None:
    found = nanogpt.checkpoint(n_embd=256)
    found["model"] = {name: torch.zeros(()).expand(t.shape) for name, t in found["model"].items()}
    nanogpt.save(tmp_path, found)
    assert_refused(tmp_path, "and its tensors would take")


def test_records_that_torch_would_unpack_without_bound_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = nanogpt.save(tmp_path, nanogpt.checkpoint())
    with zipfile.ZipFile(path) as file:
        records = {info.filename: file.read(info) for info in file.infolist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in records.items():
            file.writestr(name, bytes(300 << 20) if name.endswith("data.pkl") else data)
    start = time.process_time()
    with pytest.raises(UserError, match=r"data\.pkl' is compressed"):
        read_nanogpt(path)
    assert time.process_time() - start < 2
    path = nanogpt.save(tmp_path, nanogpt.checkpoint())
    monkeypatch.setattr("glassgpt.interop.nanogpt.MAX_PICKLE", 1000)
    with pytest.raises(UserError, match=r"data\.pkl' has .* bytes; the limit is 1,000"):
        read_nanogpt(path)


@pytest.mark.parametrize(
    "content", [b"", b"\x80\x02}q\x00.", b"to be or not to be", b"PK\x03\x04" + bytes(99)]
)
def test_what_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    nanogpt.save(tmp_path, {}).write_bytes(content)
    assert_refused(tmp_path, "train.py")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_file_that_is_cut_short_is_refused(tmp_path: Path, share: float) -> None:
    path = nanogpt.save(tmp_path, nanogpt.checkpoint())
    path.write_bytes((whole := path.read_bytes())[: int(len(whole) * share)])
    assert_refused(tmp_path, "is damaged")


@pytest.mark.parametrize("text", ["é" + nanogpt.TEXT, nanogpt.TEXT + "é"])
def test_the_text_must_have_the_characters_of_the_vocabulary(tmp_path: Path, text: str) -> None:
    nanogpt.save(tmp_path, nanogpt.checkpoint())
    (tmp_path / "input.txt").write_text(text)
    n = len(nanogpt.CHARS)
    assert_refused(tmp_path, f"the text has {n + 1} different characters, and ckpt.pt a vocabulary of {n}")


def test_wrong_use(tmp_path: Path) -> None:
    nanogpt.save(tmp_path, nanogpt.checkpoint())
    assert "--text" in command(tmp_path, "import", "ckpt.pt", code=2)
    assert "nowhere.pt: no such file" in command(
        tmp_path, "import", "nowhere.pt", "--text", "input.txt", code=2
    )
    assert "nowhere.txt" in command(tmp_path, "import", "ckpt.pt", "--text", "nowhere.txt", code=2)
    assert "nowhere.json" in command(tmp_path, "import", "ckpt.pt", "--tokenizer", "nowhere.json", code=2)
    assert "abacus" in command(
        tmp_path, "import", "ckpt.pt", "--text", "input.txt", "--device", "abacus", code=2
    )
    assert not (tmp_path / "runs").exists()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    said = command(tmp_path, "import", "ckpt.pt", "--text", "input.txt", "--out", "full", code=2)
    assert "full is not empty" in said
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["notes.txt"]


def test_a_padded_vocabulary_is_cut_to_its_tokenizer(tmp_path: Path) -> None:
    known = train_tokenizer("bpe", [nanogpt.TEXT], vocab_size=280)
    known.save(tmp_path / "tokenizer.json")
    found = nanogpt.checkpoint(vocab_size=300)
    path = nanogpt.save(tmp_path, found)
    with pytest.warns(UserWarning, match="vocabulary of 300 is cut to the 280 tokens"):
        run = import_nanogpt(path, tmp_path / "run", tokenizer=tmp_path / "tokenizer.json", device="cpu")
    model, tokens = run.model(), torch.tensor([known.encode("9 green")[:8]])
    theirs = nanogpt.logits(found["model"], found["model_args"], tokens)
    torch.testing.assert_close(model(tokens), theirs[..., :280], rtol=1e-5, atol=1e-5)
    assert not run.verdict_file.exists() and load_tokenizer(run.tokenizer_file).n_vocab == 280
    command(tmp_path, "sample", "run", "--max-new-tokens", "5")
    listed = command(tmp_path, "runs", ".")
    assert "imported" in listed and "go on with" not in listed
    assert "training cannot resume" in command(tmp_path, "verify", "run")
    with pytest.raises(UserError, match="it was imported or shared"):
        resume(tmp_path / "run")


@pytest.mark.parametrize("n_vocab", [279, 408])
def test_another_tokenizer_is_refused(tmp_path: Path, n_vocab: int) -> None:
    train_tokenizer("bpe", [nanogpt.TEXT], vocab_size=280).save(tmp_path / "tokenizer.json")
    path = nanogpt.save(tmp_path, nanogpt.checkpoint(vocab_size=n_vocab))
    with pytest.raises(UserError, match=f"the tokenizer has 280 tokens, and .* a vocabulary of {n_vocab}"):
        import_nanogpt(path, tmp_path / "run", tokenizer=tmp_path / "tokenizer.json")
    assert not (tmp_path / "run").exists()


def test_a_text_that_the_tokenizer_cannot_write_leaves_nothing(tmp_path: Path) -> None:
    """Found only while the run is being written."""
    run = imported(tmp_path / "a", nanogpt.checkpoint())
    (tmp_path / "b.txt").write_text(nanogpt.TEXT + "é")
    with pytest.raises(UserError, match=r"U\+00E9"):
        import_nanogpt(
            tmp_path / "a" / "ckpt.pt",
            tmp_path / "new" / "run",
            text=tmp_path / "b.txt",
            tokenizer=run.tokenizer_file,
        )
    assert not (tmp_path / "new").exists()
