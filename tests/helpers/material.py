"""Small training data for each family."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from glassgpt.data import write_image


def material(family: str, tmp_path: Path) -> Path:
    """Write a file or folder of training data for a family, and return its path."""
    rows = [(f"{i} and {i % 7}", f"{i % 7} then {i}") for i in range(60)]
    if family == "seq2seq":
        (tmp_path / "data.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in rows))
        return tmp_path / "data.tsv"
    if family == "classifier":
        rows = [(a, str(i % 2)) for i, (a, _) in enumerate(rows)]
        (tmp_path / "data.csv").write_text("text,label\n" + "".join(f"{a},{b}\n" for a, b in rows))
        return tmp_path / "data.csv"
    folder = tmp_path / "images"
    for i in range(30):
        write_image(np.full((1, 16, 16), 8 * i, np.uint8), folder / f"{i}.png")
    (folder / "captions.csv").write_text("image,caption\n" + "".join(f"{i}.png,{i}\n" for i in range(30)))
    return folder
