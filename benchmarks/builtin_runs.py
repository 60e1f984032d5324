"""Make the small built-in runs of the chapters.

    python benchmarks/builtin_runs.py               # trains all three, about half an hour, then packs them
    python benchmarks/builtin_runs.py --pack runs/a text      # packs a finished run under a name

A packed run is an ordinary run folder with its best weights in half precision and some of its data, without
what only going on with training needs. The built-in ones lie in src/glassgpt/explain/runs.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

import glassgpt as gg
from glassgpt.checkpoint import Run, save_step, weights
from glassgpt.explain import BUILTIN

KEPT_TOKENS = {"train": 150_000, "val": 20_000}
KEPT_EXAMPLES = {"train": 1, "val": 400}

RUNS = {
    "text": ("shakespeare", 6, {"model": {"size": "nano"}}),
    "dates": ("dates", 7, {"model": {"n_embd": 64}}),
    "scenes": ("scenes", 18, {"model": {"n_embd": 96}}),
}
"""Source, minutes on one core, and settings."""


def pack(run: Run, out: Path) -> None:
    """Leave only what a reader needs."""
    packed = Run.create(out, run.config())
    shutil.copy(run.tokenizer_file, packed.tokenizer_file)
    shutil.copy(run.verdict_file, packed.verdict_file)
    half = {name: tensor.half() for name, tensor in weights(run.model()).items()}
    step = int(run.best_checkpoint().name.removeprefix("step-"))
    save_step(packed.checkpoints, step, {"model": half}, {"step": step})
    packed.data.mkdir()
    if (run.data / "manifest.json").is_file():
        pack_tokens(run, packed.data)
    else:
        pack_examples(run, packed.data)


def pack_tokens(run: Run, folder: Path) -> None:
    """The beginning of each split, with the lengths that losses are divided by."""
    manifest = json.loads((run.data / "manifest.json").read_text("utf-8"))
    tokenizer = run.tokenizer()
    for name, n in KEPT_TOKENS.items():
        about = manifest["tokens"][name]
        ids = np.fromfile(run.data / f"{name}.bin", about["dtype"])[:n]
        ids.tofile(folder / f"{name}.bin")
        text = tokenizer.decode(ids)
        about |= {"n_tokens": len(ids), "n_chars": len(text), "n_bytes": len(text.encode())}
    (folder / "manifest.json").write_text(json.dumps(manifest, ensure_ascii=False, indent=1) + "\n", "utf-8")


def pack_examples(run: Run, folder: Path) -> None:
    """The first examples of each split, and the images that they are about."""
    for name, n in KEPT_EXAMPLES.items():
        arrays = load_file(run.data / f"{name}.safetensors")
        for part in ("source", "text"):
            starts = arrays[f"{part}_starts"][: n + 1]
            arrays |= {f"{part}_starts": starts, part: arrays[part][: starts[-1]]}
        arrays["n_prompt"] = arrays["n_prompt"][:n]
        if "image" in arrays:
            used, image = np.unique(arrays["image"][:n], return_inverse=True)
            arrays |= {"image": image, "images": arrays["images"][used]}
        save_file(
            {key: np.ascontiguousarray(value) for key, value in arrays.items()},
            folder / f"{name}.safetensors",
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pack", nargs=2, metavar=("RUN", "NAME"), help="pack a finished run")
    given = parser.parse_args()
    if given.pack:
        pack(Run.open(given.pack[0]), BUILTIN / given.pack[1])
        return
    for name, (source, minutes, tables) in RUNS.items():
        config = {"data": {"sources": [source]}, "train": {"minutes": minutes}, **tables}
        with tempfile.TemporaryDirectory() as folder:
            session = gg.start(gg.RunConfig.model_validate(config), out=Path(folder) / "run")
            for event in session.run():
                print(name, event, flush=True)
            print(session.verdict().sentence)
            pack(session.folder, BUILTIN / name)


if __name__ == "__main__":
    main()
