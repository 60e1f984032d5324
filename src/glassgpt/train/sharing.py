"""A copy of a run to give away: the best weights and what describes them, without the training text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glassgpt.checkpoint import (
    Run,
    learned_a_list,
    read_state,
    save_step,
    step_folder,
    write_json,
    write_pointer,
)
from glassgpt.config import DataConfig, InitFromConfig
from glassgpt.data import LEAK_NOTE
from glassgpt.errors import UserError
from glassgpt.interop import ExportSource, shared_card, whole_folder
from glassgpt.language import N_
from glassgpt.paths import size_on_disk
from glassgpt.safe_io import read_json
from glassgpt.tasks import task_of_model

LEFT_OUT = {
    "data": N_("the training text as token ids"),
    "checkpoints": N_("optimizer states and other steps"),
    "metrics.jsonl": N_("the loss of each step"),
    "baselines.json": N_("the losses of counting, with quotes of the text"),
    "snapshots": N_("weights from earlier steps"),
    "samples": N_("texts that were sampled while training"),
}
"""Parts of a run that a shared copy lacks."""


@dataclass(frozen=True)
class Shared:
    """A copy of a run without its training text."""

    path: Path
    n_bytes: int
    run_bytes: int
    """Size of the whole run."""
    left_out: dict[str, int]
    """Parts of the run that the copy lacks (see `LEFT_OUT`), with their sizes in bytes."""

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, ready for JSON."""
        return {**asdict(self), "path": str(self.path)}


def share(run: Path | str, out: Path | str | None = None, *, license: str = "") -> Shared:
    """Copy a run without training text, optimizer state and metrics, to give it away.

    out: a new folder, by default `RUN-shared` next to the run. license: its name, for the model card. The
    copy holds the best weights (LoRA merged), tokenizer, configuration, verdict and README.md. It is a run:
    it can be sampled from, looked into, fine-tuned and exported; its training cannot resume. Raises
    UserError, and leaves nothing behind, if the run has no usable step or the folder cannot be written.
    """
    opened = Run.open(run)
    target = Path(out) if out else opened.path.with_name(f"{opened.path.name}-shared")
    if target.resolve().is_relative_to(opened.path.resolve()):
        raise UserError(
            "{target} lies inside the run {path}. Give a folder elsewhere with `out`.",
            target=target,
            path=opened.path,
        )
    source = ExportSource.open(opened, license)
    with whole_folder(target) as folder:
        _write(source, Run(folder))
        command = task_of_model(source.shape).usage.partition("glassgpt ")[2].format(run=target.name)
        card = shared_card(source, target.name, f"glassgpt {command}")
        (folder / "README.md").write_text(card, "utf-8")
    sizes = {name: size_on_disk(opened.path / name) for name in LEFT_OUT}
    sizes["checkpoints"] -= size_on_disk(target / "checkpoints")
    left_out = {name: n for name, n in sizes.items() if n > 0}
    return Shared(target, size_on_disk(target), size_on_disk(opened.path), left_out)


def _write(source: ExportSource, copy: Run) -> None:
    """Write the files of the copy, the step last."""
    data = DataConfig(sources=(), split="lines" if learned_a_list(source.run) else "auto")
    changes = {"model": source.shape, "data": data, "init_from": InitFromConfig()}
    copy.write_config(source.config.model_copy(update=changes), source.run.origins())
    source.tokenizer.save(copy.tokenizer_file)
    if source.verdict is not None:
        write_json(copy.verdict_file, {**source.verdict, "notes": _notes(source.verdict)})
    if source.run.forecast_file.is_file():
        write_json(copy.forecast_file, read_json(source.run.forecast_file))
    state = read_state(source.run.best_checkpoint())
    best = step_folder(copy.checkpoints, state["step"])
    kept = {"best": state.get("best"), "best_step": best.name}
    step = save_step(copy.checkpoints, state["step"], {"model": dict(source.tensors)}, kept)
    write_pointer(copy.checkpoints, "best", step)


def _notes(verdict: Mapping[str, Any]) -> list[str]:
    """Return the notes of a verdict without the passage that a note about leaks quotes."""
    plain = f"{LEAK_NOTE} passages of the held-out text: the loss on new text is higher"
    return [plain if note.startswith(LEAK_NOTE) else note for note in map(str, verdict.get("notes", ()))]
