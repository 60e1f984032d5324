"""A run: the folder that holds everything about one training, readable without the program that wrote it."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glassgpt.checkpoint.store import BadStep, hinted, newest_valid, read_tensors, steps, write_json
from glassgpt.config import RunConfig
from glassgpt.errors import UserError
from glassgpt.models import Model, build
from glassgpt.tokenizers import Tokenizer, load_tokenizer


@dataclass(frozen=True)
class Run:
    """The files of a run by name. Making one touches nothing on disk."""

    path: Path

    @property
    def config_file(self) -> Path:
        return self.path / "config.json"

    @property
    def tokenizer_file(self) -> Path:
        return self.path / "tokenizer.json"

    @property
    def metrics_file(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def verdict_file(self) -> Path:
        return self.path / "verdict.json"

    @property
    def baselines_file(self) -> Path:
        return self.path / "baselines.json"

    @property
    def data(self) -> Path:
        return self.path / "data"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    @classmethod
    def create(cls, path: Path, config: RunConfig) -> Run:
        """A new folder with its configuration. Raises UserError where something is in the way."""
        cls.check_free(path)
        try:
            path.mkdir(parents=True, exist_ok=True)
            (path / "checkpoints").mkdir()
            write_json(path / "config.json", config.model_dump(mode="json"))
        except OSError as error:
            raise UserError(
                f"cannot write to {path} ({error.strerror}): give a folder of your own with --out"
            ) from error
        return cls(path)

    @staticmethod
    def check_free(path: Path) -> None:
        """Raise UserError where there is something already, besides the lock of whoever asks."""
        try:
            if path.exists() and any(not each.name.startswith(".lock") for each in path.iterdir()):
                raise UserError(
                    f"{path} is not empty: give another --out, or continue it with --resume {path}"
                )
        except OSError as error:
            raise UserError(
                f"cannot write to {path} ({error.strerror}): give a folder of your own with --out"
            ) from error

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """An existing run. Raises UserError when the folder is none."""
        run = cls(Path(path))
        if not run.config_file.is_file():
            raise UserError(
                f"{path} is not a run (no config.json in it); `glassgpt runs` lists the runs there are"
            )
        return run

    def config(self) -> RunConfig:
        """What the run was started with."""
        try:
            return RunConfig.model_validate_json(self.config_file.read_text("utf-8"))
        except (OSError, ValueError) as error:  # pydantic's ValidationError is a ValueError
            reason = str(error).splitlines()[0]
            message = f"{self.config_file} is damaged or of another version ({reason}); train the run anew"
            raise UserError(message) from None

    def tokenizer(self) -> Tokenizer:
        """The tokenizer that the run was trained with."""
        return load_tokenizer(self.tokenizer_file)

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl; a last line that a kill cut short is left out."""
        rows = []
        if self.metrics_file.is_file():
            for line in self.metrics_file.read_text("utf-8", errors="replace").splitlines():
                try:
                    rows.append(json.loads(line))
                except ValueError:
                    continue
        return rows

    def best_step(self) -> Path:
        """The folder of the best verified step; the newest whole one, and a warning, where it is lost."""
        best = hinted(self.checkpoints, "best")
        step, problems = newest_valid(([best] if best else []) + steps(self.checkpoints))
        if step is None:
            reason = "; ".join(problems) or "none was saved yet"
            raise UserError(f"{self.path} has no usable checkpoint: {reason}")
        if problems:
            warnings.warn(f"using {step.name} of {self.path} instead: {'; '.join(problems)}", stacklevel=2)
        return step

    def model(self, device: torch.device | str = "cpu") -> Model:
        """The model with its best weights, ready to be used (no dropout)."""
        model = build(self.config().model, self.tokenizer().n_vocab)
        load_weights(model, read_tensors(self.best_step(), "model"))
        return model.to(device).eval()


def weights(model: nn.Module) -> dict[str, Tensor]:
    """All trained tensors by name, shared ones once."""
    return {name: p.detach() for name, p in model.named_parameters()}


@torch.no_grad()
def load_weights(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy tensors into a model. Raises BadStep unless names and shapes are exactly the model's."""
    params = dict(model.named_parameters())
    if differing := sorted(params.keys() ^ tensors.keys()):
        raise BadStep(f"the checkpoint does not fit the model: {', '.join(differing[:5])} on one side only")
    for name, p in params.items():
        if p.shape != tensors[name].shape:
            raise BadStep(
                f"{name} is {tuple(tensors[name].shape)} in the checkpoint, {tuple(p.shape)} in the model"
            )
        p.copy_(tensors[name])


def load_run(path: Path | str, device: torch.device | str = "cpu") -> tuple[Model, Tokenizer]:
    """The best model of a run and its tokenizer."""
    run = Run.open(path)
    return run.model(device), run.tokenizer()
