"""`glassgpt adapter`: what a run with --lora-rank has learned, in a small file of its own."""

from __future__ import annotations

from pathlib import Path

from glassgpt.checkpoint import save_adapter


def adapter(run: Path, file: Path) -> None:
    """Write the adapters of a run into a file, for use beside the run that they were trained beside.

    `glassgpt chat BASE --adapter FILE` uses it. The run itself needs no such file.

    Parameters
    ----------
    run
        Folder of a run that was trained with --lora-rank.
    file
        What to write, such as adapter.safetensors.
    """
    save_adapter(run, file)
    print(f"{file}: {file.stat().st_size / 1e6:.2f} MB")
