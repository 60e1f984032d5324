"""`glassgpt adapter`: the LoRA adapters of a run as one file."""

from __future__ import annotations

from pathlib import Path

from glassgpt.checkpoint import save_adapter
from glassgpt.cli.view.terminal import print_line
from glassgpt.units import data_size


def adapter(run: Path, file: Path) -> None:
    """Save the LoRA adapters of a run as one file.

    `glassgpt chat BASE --adapter FILE` uses it with the base run. The run itself does not need the file.

    Parameters
    ----------
    run
        Folder of a run trained with --lora-rank.
    file
        File to write, such as adapter.safetensors.
    """
    save_adapter(run, file)
    print_line(f"{file}: {data_size(file.stat().st_size)}")
