"""A shared run: the same model, without the text that it learned."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import glassgpt as gg
from glassgpt.checkpoint import Run, load_weights, read_tensors, verify_run
from glassgpt.errors import UserError
from glassgpt.models import merge_adapters
from helpers.commands import run
from helpers.material import material

SECRET = "Zanzibarquartz"
"""A word of the training text that no tokenizer of characters can hold."""


@pytest.fixture(scope="module")
def notes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("share")
    (folder / "private-notes.txt").write_text(f"{SECRET} is what nobody may read.\n" * 80, "utf-8")
    run(folder, "train", "private-notes.txt", "--size", "nano", "--steps", "4", "--out", "notes")
    return folder


def test_the_copy_is_the_same_model_without_the_text(notes: Path) -> None:
    shared = gg.share(notes / "notes", notes / "gift", license="mit")
    health = verify_run(shared.path)
    assert health.code == 0 and not health.problems and not health.stale_files
    (model, tokenizer), (theirs, _) = gg.load_run(notes / "notes"), gg.load_run(shared.path)
    ids = torch.tensor([tokenizer.encode("is what nobody may read")])
    torch.testing.assert_close(theirs(ids), model(ids), rtol=0, atol=0)
    assert (shared.path / "README.md").read_text().startswith("---\nlicense: mit\n")
    assert shared.n_bytes + sum(shared.left_out.values()) == pytest.approx(shared.run_bytes, abs=8_000)
    left_out = {"data", "checkpoints", "metrics.jsonl", "baselines.json", "samples", "snapshots"}
    assert set(shared.left_out) == left_out


def test_nothing_of_the_text_and_of_the_disk_is_in_it(notes: Path) -> None:
    shared = gg.share(notes / "notes", notes / "searched")
    tokens = Run(notes / "notes").tokenizer().encode_array(SECRET).tobytes()
    for file in filter(Path.is_file, shared.path.rglob("*")):
        content = file.read_bytes()
        assert SECRET.encode() not in content and tokens not in content, file
        assert str(notes).encode() not in content, file


def test_it_can_be_used_tuned_and_shared_again_but_not_resumed(notes: Path) -> None:
    run(notes, "share", "notes", "--out", "used")
    assert run(notes, "sample", "used", "--seed", "1") == run(notes, "sample", "notes", "--seed", "1")
    run(notes, "train", "private-notes.txt", "--from", "used", "--steps", "2", "--out", "tuned")
    again = json.loads(run(notes, "share", "used", "--out", "again", "--json"))
    assert "data" not in again["left_out"]
    assert "shared" in run(notes, "resume", "used", "--steps", "9", code=2)
    said = run(notes, "sample", "used", "--draft", "text", code=2)
    assert "holds no training data" in said and "--from" in said


def test_adapters_are_merged(notes: Path) -> None:
    run(
        notes,
        "train",
        "private-notes.txt",
        "--from",
        "notes",
        "--lora-rank",
        "2",
        "--steps",
        "3",
        "--out",
        "lora",
    )
    base = Run(notes / "lora")
    merged, shape = merge_adapters(read_tensors(base.best_checkpoint(), "model"), base.config().model)
    copy = gg.share(base.path, notes / "merged").path
    model = gg.build(shape, base.tokenizer().n_vocab)
    load_weights(model, merged)
    config = Run(copy).config()
    assert not config.model.lora_rank and config.init_from.run is None
    ids = torch.arange(8)[None]
    torch.testing.assert_close(gg.load_run(copy)[0](ids), model.eval()(ids), rtol=0, atol=0)


@pytest.mark.parametrize("out", ["notes/inside", "private-notes.txt", "private-notes.txt/below"])
def test_bad_targets_leave_nothing(notes: Path, out: str) -> None:
    before = sorted(notes.rglob("*"))
    with pytest.raises(UserError):
        gg.share(notes / "notes", notes / out)
    assert sorted(notes.rglob("*")) == before


@pytest.mark.parametrize("family", ["seq2seq", "captioner"])
def test_other_tasks(tmp_path: Path, family: str) -> None:
    run(
        tmp_path,
        "train",
        str(material(family, tmp_path)),
        "--model",
        family,
        "--size",
        "nano",
        "--steps",
        "2",
        "--out",
        "r",
    )
    copy = gg.share(tmp_path / "r").path
    assert copy.name == "r-shared" and verify_run(copy).code == 0
    assert "glassgpt " in (copy / "README.md").read_text()
