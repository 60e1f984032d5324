"""A run: the folder that holds everything about one training, readable without the program that wrote it."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from glassgpt.checkpoint.store import (
    FORMAT,
    CorruptCheckpoint,
    Layout,
    SkipInit,
    best_checkpoint,
    check_weights,
    fingerprint,
    layout,
    make_folder,
    migrate_config,
    newest_valid,
    read_header,
    read_json,
    read_manifest,
    read_tensors,
    refuse_links,
    remembered_best,
    step_is_resumable,
    steps,
    sync,
    sync_above,
    write_json,
)
from glassgpt.config import RunConfig
from glassgpt.errors import UserError, cannot_write
from glassgpt.models import Model, build, merge_adapters
from glassgpt.tokenizers import Tokenizer, load_tokenizer

MAX_LINE = 1 << 20
"""Longest line of metrics.jsonl that is read whole, in bytes; ours take some 200."""


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
    def create(cls, path: Path, config: RunConfig, origins: Mapping[str, str] | None = None) -> Run:
        """A new folder with its configuration. Raises UserError where something is in the way."""
        cls.check_free(path)
        try:
            make_folder(path / "checkpoints")
            sync_above(path)  # whoever holds the lock has made the folder for it
            cls(path).write_config(config, origins)
        except OSError as error:
            raise cannot_write(path, error) from error
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
            raise cannot_write(path, error) from error

    @classmethod
    def open(cls, path: Path | str) -> Run:
        """An existing run. Raises UserError when the folder is none, or holds links."""
        run = cls(Path(path))
        if not run.config_file.is_file():
            raise UserError(
                f"{path} is not a run (no config.json in it); `glassgpt runs` lists the runs there are"
            )
        refuse_links(run.path)
        return run

    def config(self) -> RunConfig:
        """What the run was started with."""
        try:
            return RunConfig.model_validate(migrate_config(read_json(self.config_file)))
        except UserError:
            raise
        except ValueError as error:  # pydantic's ValidationError is one
            reason = str(error).splitlines()[0]
            message = f"{self.config_file} is damaged or of another version ({reason}); train the run anew"
            raise UserError(message) from None

    def write_config(self, config: RunConfig, origins: Mapping[str, str] | None = None) -> None:
        """Replace config.json. origins: where each value came from; by default those that are stored."""
        origins = dict(self.origins() if origins is None else origins)
        values = config.model_dump(mode="json")
        write_json(self.config_file, {"format": FORMAT, **values, "origins": origins})

    def origins(self) -> dict[str, str]:
        """Return the origin of each setting by its dotted name; older runs have none."""
        stored = read_json(self.config_file).get("origins") if self.config_file.exists() else None
        return {str(name): str(origin) for name, origin in stored.items()} if isinstance(stored, dict) else {}

    def tokenizer(self) -> Tokenizer:
        """The tokenizer that the run was trained with."""
        return load_tokenizer(self.tokenizer_file)

    def metrics(self) -> list[dict[str, Any]]:
        """The lines of metrics.jsonl, without a last line that a kill cut short, and what is no object."""
        rows = []
        if self.metrics_file.is_file():
            with self.metrics_file.open("rb") as file:
                for line in iter(lambda: file.readline(MAX_LINE), b""):
                    try:
                        rows.append(json.loads(line))
                    except (ValueError, RecursionError):
                        continue
        return [row for row in rows if isinstance(row, dict)]

    @property
    def data_hashes(self) -> Path:
        return self.data / "hashes.json"

    def record_hashes(self) -> None:
        """Note what the data are now, so that resuming can tell whether they still are."""
        files = sorted(path for path in self.data.iterdir() if path.is_file())
        write_json(self.data_hashes, {path.name: fingerprint(path) for path in files})

    def check_data_hashes(self) -> None:
        """Raise UserError where the data are not what was sealed; runs of before there were seals pass."""
        if not self.data_hashes.exists():
            return
        for name, about in read_json(self.data_hashes).items():
            path = self.data / Path(name).name
            if not path.is_file() or fingerprint(path) != about:
                raise UserError(
                    f"{path} is not what was written when the run began (its size or SHA-256 differs): the "
                    "run can be used, but not gone on with; train anew"
                )

    def sync(self) -> None:
        """Put on disk whatever else a run needs: once its data are written, and before its first step is.

        Otherwise a power cut could leave whole steps beside an empty tokenizer.json.
        """
        for folder in (self.data, self.samples, self.path):
            if folder.is_dir():
                for file in folder.iterdir():
                    if file.is_file():
                        sync(file)
                sync(folder)

    def is_resumable(self) -> bool:
        """True if a step holds optimizer state; the step of an imported run has none."""
        return any(map(step_is_resumable, steps(self.checkpoints)))

    def best_checkpoint(self) -> Path:
        """The folder of the best verified step; the newest whole one, and a warning, where it is lost."""
        best = best_checkpoint(self.checkpoints)
        others = [step for step in steps(self.checkpoints) if step != best]
        step, problems = newest_valid(([best] if best else []) + others)
        if step is None:
            reason = "; ".join(problems) or "none was saved yet"
            raise UserError(f"{self.path} has no usable checkpoint: {reason}")
        if best is None and (lost := remembered_best(self.checkpoints)) is not None:
            problems = [f"the best step, {lost.name}, is gone", *problems]
        if problems:
            warnings.warn(f"using {step.name} of {self.path} instead: {'; '.join(problems)}", stacklevel=2)
        return step

    def layout(self, config: RunConfig | None = None) -> Layout:
        """The weights of the run's model, known without building it. To be asked before `build`.

        Raises UserError for a model too large for this machine, whatever made config.json ask for it.
        """
        return layout((config or self.config()).model, self.tokenizer().n_vocab)

    def model(self, device: torch.device | str = "cpu", *, merged: bool = True) -> Model:
        """The model with its best weights, ready to be used (no dropout).

        Adapters are added to the matrices that they stand beside, so that it is a model like any other;
        without `merged` they are kept apart. Nothing is allocated before the checkpoint is known to hold
        what config.json asks for.
        """
        config, tokenizer = self.config(), self.tokenizer()
        planned = layout(config.model, tokenizer.n_vocab)
        step = self.best_checkpoint()
        if read_manifest(step)["format"] == FORMAT:  # what older ones hold shows after migration
            file = step / "model.safetensors"
            check_weights(read_header(file), planned, file)
        tensors = read_tensors(step, "model")
        shape = config.model
        if merged and shape.lora_rank:
            tensors, shape = merge_adapters(tensors, shape)
        with SkipInit():
            model = build(shape, tokenizer.n_vocab)
        load_weights(model, tensors)
        return model.to(device).eval()


def weights(model: nn.Module) -> dict[str, Tensor]:
    """All trained tensors by name, shared ones once."""
    return {name: p.detach() for name, p in model.named_parameters()}


@torch.no_grad()
def load_weights(model: nn.Module, tensors: dict[str, Tensor]) -> None:
    """Copy tensors into a model. Raises CorruptCheckpoint unless names and shapes are exactly the model's."""
    params = dict(model.named_parameters())
    if differing := sorted(params.keys() ^ tensors.keys()):
        raise CorruptCheckpoint(
            f"the checkpoint does not fit the model: {', '.join(differing[:5])} on one side only"
        )
    for name, p in params.items():
        if p.shape != tensors[name].shape:
            raise CorruptCheckpoint(
                f"{name} is {tuple(tensors[name].shape)} in the checkpoint, {tuple(p.shape)} in the model"
            )
        p.copy_(tensors[name])


def load_run(path: Path | str, device: torch.device | str = "cpu") -> tuple[Model, Tokenizer]:
    """The best model of a run and its tokenizer."""
    run = Run.open(path)
    return run.model(device), run.tokenizer()
