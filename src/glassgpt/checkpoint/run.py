"""A run: the folder with all files of one training, and the model in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from glassgpt.checkpoint.run_folder import RunFolder
from glassgpt.checkpoint.snapshots import read_snapshot
from glassgpt.checkpoint.store import (
    CorruptCheckpoint,
    SkipInit,
    check_weights,
    layout,
    read_specs,
    read_tensors,
)
from glassgpt.checkpoint.summary import RunSummary, read_verdict, summarize
from glassgpt.diagnose import Verdict
from glassgpt.models import Model, build, merge_adapters
from glassgpt.notebook_html import html_card
from glassgpt.safe_io import MAX_JSON, quoted, read_capped
from glassgpt.tokenizers import Tokenizer


@dataclass(frozen=True)
class Run(RunFolder):
    """A run by its folder. Creating a `Run` touches nothing on disk; a notebook shows its state.

    Functions that take the path of a run take a `Run`, too.

    >>> Run(Path("runs/notes"))
    Run('runs/notes')
    """

    def __fspath__(self) -> str:
        return str(self.path)

    def __str__(self) -> str:
        return str(self.path)

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    def _repr_html_(self) -> str:
        return html_card(f"run {self.path}", self.summary().facts())

    def summary(self) -> RunSummary:
        """Return the state of the run in a few fields. Never raises for a damaged run."""
        return summarize(self)

    def verdict(self) -> Verdict | None:
        """Return the verdict of the run; None before its end."""
        return read_verdict(self)

    def sample(self) -> str:
        """Return the newest sample of the run; empty if there is none."""
        files = sorted(self.samples.glob("*.txt"))
        return read_capped(files[-1], MAX_JSON).decode("utf-8", "replace") if files else ""

    def model(
        self,
        device: torch.device | str = "cpu",
        *,
        merged: bool = True,
        step: int | None = None,
        snapshot: int | None = None,
    ) -> Model:
        """Load the model with its best weights, in evaluation mode (no dropout).

        merged: add LoRA adapters to their matrices; otherwise they stay separate. step: a saved step instead
        of the best one. snapshot: the step of a snapshot instead, in bfloat16's precision. Names and shapes
        are checked against config.json before anything is allocated. Raises UserError.
        """
        config, tokenizer = self.config(), self.tokenizer()
        planned = layout(config.model, tokenizer.n_vocab)
        if snapshot is None:
            folder = self.best_checkpoint() if step is None else self.checkpoint(step)
            check_weights(read_specs(folder, "model"), planned, folder / "model.safetensors")
            tensors = read_tensors(folder, "model")
        else:
            tensors = read_snapshot(self, snapshot, planned)
        shape = config.model
        if merged and shape.lora_rank:
            tensors, shape = merge_adapters(tensors, shape)
        with SkipInit():
            model = build(shape, tokenizer.n_vocab)
        load_weights(model, tensors)
        return model.to(device).eval()


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Return all trained tensors by name, shared ones once."""
    return {name: p.detach() for name, p in model.named_parameters()}


@torch.no_grad()
def load_weights(model: nn.Module, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into a model. Raises CorruptCheckpoint if names or shapes differ."""
    params = dict(model.named_parameters())
    if differing := sorted(params.keys() ^ tensors.keys()):
        raise CorruptCheckpoint(
            "the checkpoint does not fit the model: only one of them has {names}. Use the checkpoint and "
            "config.json of the same run.",
            names=", ".join(map(quoted, differing[:5])),
        )
    for name, p in params.items():
        if p.shape != (tensor := tensors[name]).shape:
            raise CorruptCheckpoint(
                "the checkpoint does not fit the model: {name} is {shape} in the checkpoint, {expected} in "
                "the model. Use the checkpoint and config.json of the same run.",
                name=name,
                shape=tuple(tensor.shape),
                expected=tuple(p.shape),
            )
        p.copy_(tensor)


def load_run(path: Path | str, device: torch.device | str = "cpu") -> tuple[Model, Tokenizer]:
    """Load the best model of a run, and its tokenizer. Raises UserError."""
    run = Run.open(path)
    return run.model(device), run.tokenizer()
