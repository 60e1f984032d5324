"""The folder of a run: its files in open formats, read and written without a model."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from glassgpt.checkpoint.abandoned import clear, is_abandoned
from glassgpt.checkpoint.folders import is_of_transformers
from glassgpt.checkpoint.lock import METRICS
from glassgpt.checkpoint.not_a_run import not_a_run
from glassgpt.checkpoint.store import (
    FORMAT,
    PLAIN_NAME,
    Layout,
    best_checkpoint,
    fingerprint,
    layout,
    make_folder,
    migrate_config,
    newest_valid,
    recorded_best,
    step_folder,
    step_is_resumable,
    steps,
    sync,
    sync_above,
    verify_step,
    write_json,
)
from glassgpt.config import RunConfig, problem_in_words
from glassgpt.errors import UserError, cannot_write, check_name, command_line
from glassgpt.language import N_, join_texts
from glassgpt.safe_io import check_entries, damaged, parse_json, quoted, read_capped, read_json
from glassgpt.tokenizers import Tokenizer, load_tokenizer

MAX_LINE = 1 << 16
"""Longest line of metrics.jsonl, in bytes. Ours have about 200."""
MAX_METRICS = 1 << 28
"""Largest metrics.jsonl, in bytes: a line for each of a million steps."""


@dataclass(frozen=True)
class RunFolder:
    """The files of a run by name. Creating one touches nothing on disk."""

    path: Path

    @property
    def config_file(self) -> Path:
        """Configuration of the run, with its format number."""
        return self.path / "config.json"

    @property
    def tokenizer_file(self) -> Path:
        """Tokenizer, in the format of Hugging Face's tokenizers."""
        return self.path / "tokenizer.json"

    @property
    def metrics_file(self) -> Path:
        """Figures of steps and evaluations, one JSON object per line."""
        return self.path / METRICS

    @property
    def verdict_file(self) -> Path:
        """Comparison with the baselines, written at the end."""
        return self.path / "verdict.json"

    @property
    def forecast_file(self) -> Path:
        """Forecasts of the final loss, and the outcome."""
        return self.path / "forecast.json"

    @property
    def doctor_file(self) -> Path:
        """Findings of the last `glassgpt doctor`."""
        return self.path / "doctor.json"

    @property
    def baselines_file(self) -> Path:
        """Losses or accuracies of the baselines."""
        return self.path / "baselines.json"

    @property
    def data(self) -> Path:
        """Folder with the tokenized data."""
        return self.path / "data"

    @property
    def checkpoints(self) -> Path:
        """Folder with the checkpoint steps."""
        return self.path / "checkpoints"

    @property
    def samples(self) -> Path:
        """Folder with the samples drawn at evaluations."""
        return self.path / "samples"

    @property
    def snapshots(self) -> Path:
        """Folder with the weights at several steps, in bfloat16; see `snapshot_steps`."""
        return self.path / "snapshots"

    @classmethod
    def create(cls, path: Path, config: RunConfig, origins: Mapping[str, str] | None = None) -> Self:
        """Create a run's folder with its configuration. Raises UserError if the folder is not empty.

        A run without a step, as a kill leaves it, is replaced. The caller has the lock.
        """
        cls.check_free(path)
        try:
            clear(path)
            make_folder(path / "checkpoints")
            sync_above(path)  # the owner of the lock created the folder
            cls(path).write_config(config, origins)
        except OSError as error:
            raise cannot_write(path, error) from error
        return cls(path)

    @staticmethod
    def check_free(path: Path) -> None:
        """Raise UserError if the folder holds anything but a lock or a run without a step."""
        check_name(path)
        try:
            if path.is_file():
                raise UserError("{path} is a file. Choose another `out`.", path=path)
            if path.exists() and not is_abandoned(path):
                raise UserError(
                    "{path} is not empty. Choose another `out`, or continue the run: {command}",
                    path=path,
                    command=command_line("resume", path),
                )
        except OSError as error:
            raise cannot_write(path, error) from error

    @classmethod
    def open(cls, path: Path | str) -> Self:
        """Open an existing run. Raises UserError if the folder is no run, or holds links."""
        run = cls(Path(path))
        check_name(run.path)
        if not run.config_file.is_file() or is_of_transformers(run.path):
            raise not_a_run(run.path)
        check_entries(run.path)
        return run

    def config(self) -> RunConfig:
        """Read the configuration of the run. Raises UserError if it is damaged."""
        try:
            return RunConfig.model_validate(migrate_config(read_json(self.config_file)))
        except UserError:
            raise
        except ValueError as error:
            reason = _reason(error)
            raise UserError(
                "{config_file} is damaged, or from another version ({reason}). Restore a copy of it, or "
                "start a new run.",
                config_file=self.config_file,
                reason=reason,
            ) from None

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
        """Load the tokenizer of the run."""
        return load_tokenizer(self.tokenizer_file)

    def metrics(self) -> list[dict[str, Any]]:
        """Read the objects of metrics.jsonl. Skips truncated lines and other values.

        Raises UserError for a file of more than MAX_METRICS bytes.
        """
        if not self.metrics_file.exists():
            return []
        rows = []
        for line in read_capped(self.metrics_file, MAX_METRICS).splitlines():
            with suppress(UserError):
                rows.append(parse_json(line[:MAX_LINE], self.metrics_file))
        return rows

    @property
    def data_hashes(self) -> Path:
        """Sizes and SHA-256 of the data files."""
        return self.data / "hashes.json"

    def record_hashes(self) -> None:
        """Write the size and SHA-256 of each data file, for `check_data_hashes`."""
        files = sorted(path for path in self.data.iterdir() if path.is_file())
        write_json(self.data_hashes, {path.name: fingerprint(path) for path in files})

    def check_data_hashes(self) -> None:
        """Raise UserError if a data file changed since `record_hashes`. Old runs without hashes pass."""
        if not self.data_hashes.exists():
            return
        for name, about in read_json(self.data_hashes).items():
            if not PLAIN_NAME.fullmatch(name):
                raise damaged(
                    self.data_hashes, N_("{name} is not the name of a file in that folder", name=quoted(name))
                )
            path = self.data / name
            if not path.is_file() or fingerprint(path) != about:
                raise UserError(
                    "{path} changed since the run started (size or SHA-256 differs). The model still works, "
                    "but training cannot resume. Restore a copy of the file, or start a new run.",
                    path=path,
                )

    def sync(self) -> None:
        """Sync all files besides the steps: after the data, and before the first step.

        Otherwise a power cut could leave complete steps and an empty tokenizer.json.
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

    def saved_steps(self) -> list[int]:
        """Return the numbers of the saved steps, in order."""
        return sorted(int(step.name.removeprefix("step-")) for step in steps(self.checkpoints))

    def checkpoint(self, step: int) -> Path:
        """Return the folder of a saved step, verified. Raises UserError if it is missing or damaged."""
        if step not in (saved := self.saved_steps()):
            raise UserError(
                "{path} has no saved step {step}. Saved are: {saved}.",
                path=self.path,
                step=step,
                saved=", ".join(map(str, saved)),
            )
        folder = step_folder(self.checkpoints, step)
        verify_step(folder)
        return folder

    def best_checkpoint(self) -> Path:
        """Return the best step, verified. If it is lost, warn and return the newest valid step."""
        best = best_checkpoint(self.checkpoints)
        others = [step for step in steps(self.checkpoints) if step != best]
        step, problems = newest_valid(([best] if best else []) + others)
        if step is None:
            reason = join_texts(" ", problems) or N_("No step was saved yet. Train it first.")
            raise UserError("{path} has no usable checkpoint. {reason}", path=self.path, reason=reason)
        if best is None and (lost := recorded_best(self.checkpoints)) is not None:
            problems = [N_("The best step, {name}, is gone.", name=lost.name), *problems]
        if problems:
            warnings.warn(
                N_(
                    "{path}: using {step} instead. {problems}",
                    path=self.path,
                    step=step.name,
                    problems=join_texts(" ", problems),
                ),
                stacklevel=2,
            )
        return step

    def layout(self, config: RunConfig | None = None) -> Layout:
        """Return names and shapes of the model's weights without building it.

        Call it before `build`: it raises UserError for a model larger than this machine's RAM.
        """
        return layout((config or self.config()).model, self.tokenizer().n_vocab)


def _reason(error: ValueError) -> str:
    """Return the first problem of a configuration: the setting, and what is wrong with it."""
    if not isinstance(error, ValidationError):
        return str(error).splitlines()[0]
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"]))
    problem = problem_in_words(first)
    return N_("{setting}: {problem}", setting=quoted(name), problem=problem) if name else problem
