"""ONNX exports of trained runs: the program of each folder runs without GlassGPT and computes the same."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import glassgpt as gg
from glassgpt.checkpoint import Run
from glassgpt.data.files import as_channels, read_pixels
from glassgpt.interop.certify import greedy
from glassgpt.interop.exporter import export
from glassgpt.interop.format import find_format
from helpers.explain_runs import small_run
from helpers.exports import random_source

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
Image = pytest.importorskip("PIL.Image")
from glassgpt.interop.onnx.programs.generate import pixels  # noqa: E402
from glassgpt.interop.onnx.runtime import OnnxRuntime  # noqa: E402


def labeled(folder: Path) -> str:
    file = folder / "reviews.csv"
    rows = [("good", "a fine film"), ("bad", "a dull film")] * 20
    file.write_text("label,text\n" + "".join(f"{label},{text} {i}\n" for i, (label, text) in enumerate(rows)))
    return str(file)


def gallery(folder: Path) -> str:
    images = folder / "gallery"
    images.mkdir()
    with (images / "captions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "question", "answer"])
        for i in range(40):
            shade = np.full((16, 16), 6 * i, np.uint8)
            Image.fromarray(shade).save(images / f"{i}.png")
            writer.writerow([f"{i}.png", "is it bright?", ("no", "yes")[i // 20]])
    return str(images)


def example_run(folder: Path, family: str, sources: str, **model: Any) -> Path:
    """Train a model of examples for three steps."""
    shape = {"family": family, "n_layer": 2, "n_head": 4, "n_embd": 32, "block_size": 64} | model
    train = {"steps": 3, "evals": 1, "sample_tokens": 0, "device": "cpu"}
    data = {"data": {"sources": [sources]}, "tokenizer": {"kind": "char"}}
    for _ in gg.start(
        gg.RunConfig.model_validate({**data, "model": shape, "train": train}), folder / "run"
    ).run():
        pass
    return folder / "run"


FAMILIES = {
    "gpt": ["the moon ", "--tokens", "30"],
    "bigram": ["the moon ", "--tokens", "30"],
    "masked": ["the [?]oon sees"],
    "classifier": ["a dull film"],
    "seq2seq": ["the moon sees", "--tokens", "5"],
    "captioner": ["is it bright?", "--tokens", "5", "--image", "gallery/3.png"],
}
"""Families, and arguments of their programs."""


def start_program(folder: Path, arguments: list[str]) -> str:
    """Run the program of an export where GlassGPT cannot be imported."""
    (program,) = folder.glob("*.py")
    hide = "import sys, runpy; sys.modules['glassgpt'] = sys.modules['torch'] = None; "
    code = hide + f"sys.argv = {arguments!r}; runpy.run_path({str(program)!r}, run_name='__main__')"
    place = folder.parent
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    found = subprocess.run(
        [sys.executable, "-c", code], cwd=place, env=environment, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


def train(folder: Path, family: str) -> Path:
    match family:
        case "classifier":
            return example_run(folder, "encoder", labeled(folder))
        case "captioner":
            return example_run(folder, family, gallery(folder), image_size=16, patch_size=4)
        case "masked":
            return small_run(folder, "encoder")
        case _:
            return small_run(folder, family)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_trained_run_leaves_with_a_program_of_its_own(tmp_path: Path, family: str) -> None:
    folder, certificate = export(train(tmp_path, family), "onnx", tmp_path / "out")
    assert certificate.is_confirmed and certificate.runtime.startswith("onnxruntime ")
    program = "predict.py" if family in ("masked", "classifier") else "generate.py"
    encoder = {"encoder.onnx"} if family in ("seq2seq", "captioner") else set()
    names = {"README.md", "certificate.json", "model.json", "model.onnx", "tokenizer.json", program}
    assert {path.name for path in folder.iterdir()} == names | encoder
    printed = start_program(folder, [program, *FAMILIES[family]])
    if family == "gpt":
        assert printed == _continued(tmp_path / "run", "the moon ", 30) + "\n"
    else:
        assert printed.strip()


def _continued(run: Path, prompt: str, n: int) -> str:
    """Return a prompt and its most probable continuation, by GlassGPT itself."""
    opened = Run.open(run)
    model, tokenizer = opened.model(), opened.tokenizer()
    ids = tokenizer.encode(prompt)
    return tokenizer.decode([*ids, *greedy(model, ids, n)[0]])


def test_the_program_slides_as_glassgpt_does(tmp_path: Path) -> None:
    source, folder = random_source(tmp_path, block_size=16), tmp_path / "out"
    folder.mkdir()
    find_format("onnx").write(source, folder, "float32")
    prompt = source.tokenizer.encode("The moon sees 7 green boats")
    request = gg.Request(prompt, gg.SamplingParams(temperature=0), max_new_tokens=40)
    ours = [token.id for token in gg.Engine(source.model).stream(request)]
    assert OnnxRuntime(folder).greedy(prompt, 40) == ours


def test_the_program_reads_images_as_glassgpt_does(tmp_path: Path) -> None:
    Image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    for mode, bands in (("L", ()), ("RGB", (3,)), ("RGBA", (4,))):
        file = tmp_path / f"{mode}.png"
        Image.fromarray(rng.integers(0, 256, (20, 30, *bands), np.uint8), mode).save(file)
        for channels in (1, 3):
            ours = as_channels(read_pixels(file, 16), channels)
            np.testing.assert_array_equal(pixels(str(file), (channels, 16, 16))[0], ours)
