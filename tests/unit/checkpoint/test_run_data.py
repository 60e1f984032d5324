"""The data of a run fit its model: other ids, classes or images are an error where they are read."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import glassgpt as gg
from glassgpt.checkpoint import Run, run_examples, run_tokens
from glassgpt.errors import UserError
from glassgpt.explain import BUILTIN, chapter
from helpers import conversations
from helpers.commands import run as command
from helpers.material import material

TRAIN = {"steps": 1, "evals": 1, "sample_tokens": 0, "micro_batch_size": 2, "device": "cpu"}
SHAPE = {"n_layer": 1, "n_head": 2, "n_embd": 16, "block_size": 64}


def small_run(source: Path, folder: Path, **model: object) -> Run:
    config = {"data": {"sources": [str(source)]}, "model": SHAPE | model, "train": TRAIN}
    for _ in gg.start(gg.RunConfig.model_validate(config), out=folder / "run").run():
        pass
    return Run.open(folder / "run")


def copied(name: str, folder: Path) -> Run:
    return Run(Path(shutil.copytree(BUILTIN / name, folder / name)))


def change(run: Run, name: str, changed: Callable[[np.ndarray], np.ndarray]) -> None:
    """Change one array of the held-out examples."""
    path = run.data / "val.safetensors"
    arrays = load_file(path)
    save_file(arrays | {name: np.ascontiguousarray(changed(arrays[name]))}, path)


def with_last(value: int) -> Callable[[np.ndarray], np.ndarray]:
    return lambda ids: np.append(ids[:-1], value).astype(ids.dtype)


def test_ids_of_a_text_are_below_the_vocabulary(tmp_path: Path) -> None:
    run = copied("text", tmp_path)
    assert run_tokens(run, 321).val.largest_id < 321
    ids = with_last(321)(np.fromfile(run.data / "val.bin", "<u2"))
    ids.tofile(run.data / "val.bin")
    with pytest.raises(UserError, match=r"val\.bin: the id 321, and the vocabulary ends at 320"):
        run_tokens(run, 321)
    for words in (("explain", "loss", "--run", "text"), ("sample", "text", "--draft", "text")):
        assert "the vocabulary ends at 320" in command(tmp_path, *words, code=2)


@pytest.mark.parametrize("part", ["given", "text"])  # a former name of `source`
def test_ids_of_examples_are_below_the_vocabulary(part: str, tmp_path: Path) -> None:
    run = copied("dates", tmp_path)
    assert len(run_examples(run, 464).val)
    change(run, part, with_last(464))
    with pytest.raises(UserError, match=r"val\.safetensors: the id 464"):
        run_examples(run, 464)


def test_images_have_the_size_of_the_model(tmp_path: Path) -> None:
    run = copied("scenes", tmp_path)
    assert len(run_examples(run, 359).val)
    change(run, "images", lambda images: images[:, :, ::2])
    with pytest.raises(UserError, match="images of"):
        run_examples(run, 359)


def test_classes_are_those_of_the_model(tmp_path: Path) -> None:
    run = small_run(material("classifier", tmp_path), tmp_path, family="encoder")
    n_vocab = run.tokenizer().n_vocab
    assert len(run_examples(run, n_vocab).val)
    change(run, "text", with_last(2))
    with pytest.raises(UserError, match="the class 2, and the model has 2"):
        run_examples(run, n_vocab)
    config = json.loads(run.config_file.read_text())
    config["model"]["labels"] = []
    run.config_file.write_text(json.dumps(config))
    with pytest.raises(UserError, match="a classifier"):
        run_examples(run, n_vocab)


def test_conversations_are_a_text_too(tmp_path: Path) -> None:
    """The chapters, drafts and benchmarks read the text of a chat."""
    run = small_run(conversations.write(tmp_path / "chat.jsonl", 20), tmp_path)
    n_vocab = run.tokenizer().n_vocab
    tokens, examples = run_tokens(run, n_vocab), run_examples(run, n_vocab)
    assert tokens.val.ids.tolist() == examples.val.text.ids.tolist()
    assert chapter("loss", run.path).findings
