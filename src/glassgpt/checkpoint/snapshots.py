"""Snapshots: the weights at several steps of a training, in bfloat16, to look back at how it learned.

A resume does not need them. They are files of tensors only, checked like the weights of a checkpoint.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from glassgpt.atomic_write import replacing
from glassgpt.checkpoint.run_folder import RunFolder
from glassgpt.checkpoint.store import Layout, check_weights, make_folder, read_header
from glassgpt.errors import UserError
from glassgpt.language import N_
from glassgpt.safe_io import damaged

NAME = re.compile(r"step-(\d{1,12})\.safetensors")
CHECKSUM = "crc32"
"""Name of the checksum in a file's metadata."""


def snapshot_steps(run: RunFolder) -> list[int]:
    """Return the steps that have a snapshot, in order. Step 0 is the weights before training."""
    if not run.snapshots.is_dir():
        return []
    found = (NAME.fullmatch(path.name) for path in run.snapshots.iterdir())
    return sorted(int(match[1]) for match in found if match)


def save_snapshot(run: RunFolder, step: int, tensors: Mapping[str, Tensor]) -> None:
    """Write the weights of a step in bfloat16. Raises OSError if that fails."""
    make_folder(run.snapshots)
    half = {name: tensor.to("cpu", torch.bfloat16).contiguous() for name, tensor in tensors.items()}
    content = save(half, {CHECKSUM: _checksum(half)})  # its own writer raises no OSError
    with replacing(_file(run, step)) as temporary:
        temporary.write_bytes(content)


def remove_snapshot(run: RunFolder, step: int) -> None:
    """Delete the snapshot of a step, if there is one."""
    _file(run, step).unlink(missing_ok=True)


def remove_partial_snapshots(run: RunFolder) -> None:
    """Delete what a killed process left half written, where that is possible."""
    for path in run.snapshots.glob(".step-*.writing"):
        with suppress(OSError):
            path.unlink()


def read_snapshot(run: RunFolder, step: int, planned: Layout) -> dict[str, Tensor]:
    """Read the weights of a step in float32. Raises UserError if they are missing or do not fit the model."""
    file = _file(run, step)
    if step not in (saved := snapshot_steps(run)):
        raise UserError(
            "{path} has no snapshot of step {step}. {there_are}",
            path=run.path,
            step=step,
            there_are=N_("Snapshots: {steps}.", steps=", ".join(map(str, saved)))
            if saved
            else N_("Train a run with `snapshots` to have some."),
        )
    check_weights(read_header(file), planned, file)
    with safe_open(file, "pt") as opened:
        expected = (opened.metadata() or {}).get(CHECKSUM)
        half = {name: opened.get_tensor(name) for name in planned.shapes}
    if expected is not None and expected != _checksum(half):  # the first snapshots had none
        raise damaged(file, N_("its numbers are not those that were written"))
    return {name: tensor.float() for name, tensor in half.items()}


def check_snapshots(run: RunFolder, planned: Layout) -> None:
    """Read every snapshot. Raises UserError for one that is damaged or does not fit the model."""
    for step in snapshot_steps(run):
        try:
            read_snapshot(run, step, planned)
        except UserError:
            if _file(run, step).exists():  # else a training process has replaced it meanwhile
                raise


def _checksum(tensors: Mapping[str, Tensor]) -> str:
    """Return the CRC-32 of all numbers, by the names of the tensors."""
    value = 0
    for name in sorted(tensors):
        value = zlib.crc32(tensors[name].flatten().view(torch.uint8).numpy().data, value)
    return f"{value:08x}"


def _file(run: RunFolder, step: int) -> Path:
    return run.snapshots / f"step-{step:06d}.safetensors"
