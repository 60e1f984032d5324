"""From sources to a verdict: what `glassgpt train` does, as a library."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from glassgpt.checkpoint import Run, write_json
from glassgpt.config import RunConfig
from glassgpt.data import open_tokens, read_corpus, write_tokens
from glassgpt.diagnose import Score, Verdict, baselines, verdict
from glassgpt.errors import UserError
from glassgpt.tokenizers import train_tokenizer
from glassgpt.train.device import choose_device
from glassgpt.train.events import Event
from glassgpt.train.metrics import check_trackers
from glassgpt.train.trainer import Trainer

Stage = Callable[[str], None]
"""Is told, in a few words, what is being done."""


@dataclass
class Session:
    """One sitting of a run: its folder, its trainer, and the baselines to hold its model against."""

    folder: Run
    trainer: Trainer
    baselines: list[Score]
    notes: tuple[str, ...]

    def run(self) -> Iterator[Event]:
        """Train; yields the trainer's events. Raises UserError while another process trains this run."""
        with _only_writer(self.folder):
            self.folder.verdict_file.unlink(missing_ok=True)
            yield from self.trainer.run()
            if not self.trainer.stopping:
                write_json(self.folder.verdict_file, self.verdict().to_dict())

    def verdict(self) -> Verdict:
        """The model's best loss beside the baselines, on the same whole validation split."""
        val = self.trainer.data.val
        if not math.isfinite(self.trainer.best):
            raise UserError("there is no verdict yet: the model has not been evaluated; train longer")
        model = Score("this model", self.trainer.best * val.n_chars, val.n_chars, val.n_bytes)
        return verdict(self.baselines, model)


def start(config: RunConfig, out: Path | str | None = None, stage: Stage = lambda _: None) -> Session:
    """Read the sources, count the baselines, and make a new run at `out` (by default below `runs/`)."""
    choose_device(config.train.device)  # what would fail later fails before any work is done
    check_trackers(config)
    stage("reading " + ", ".join(config.data.sources))
    corpus = read_corpus(config.data)
    run = Run.create(Path(out) if out else new_path(config), config)
    stage(f"training the {config.tokenizer.kind} tokenizer")
    tokenizer = train_tokenizer(
        config.tokenizer.kind, corpus.train.chunks(), vocab_size=config.tokenizer.vocab_size
    )
    tokenizer.save(run.tokenizer_file)
    data = write_tokens(corpus, tokenizer, run.data)
    stage("counting what n-grams and xz can do")
    scores = baselines(corpus)
    write_json(run.path / "baselines.json", verdict(scores, None).to_dict())
    return Session(run, Trainer(run, config, tokenizer, data), scores, corpus.notes)


def resume(path: Path | str, config: RunConfig | None = None) -> Session:
    """Open a run to go on from its newest whole checkpoint; `config` replaces the stored one."""
    run = Run.open(path)
    trainer = Trainer(run, config or run.config(), run.tokenizer(), open_tokens(run.data))
    notes = trainer.resume()
    if trainer.progress >= 1 and run.verdict_file.is_file():
        done = f"{trainer.step} steps in {trainer.elapsed_s / 60:.2f} minutes"
        raise UserError(
            f"{path} is finished ({done}): --steps or --minutes name its length in all; give more"
        )
    session = Session(run, trainer, _read_baselines(run), tuple(notes))
    if config is not None:  # only now that everything else has gone well
        write_json(run.config_file, config.model_dump(mode="json"))
    return session


def _read_baselines(run: Run) -> list[Score]:
    file = run.path / "baselines.json"
    try:
        return list(Verdict.from_dict(json.loads(file.read_text("utf-8"))).scores)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file} is damaged ({error}); train the run anew") from error


def new_path(config: RunConfig, parent: Path = Path("runs")) -> Path:
    """A name that is free below `parent`, after the first source: runs/notes, runs/notes-2, …"""
    stem = Path(config.data.sources[0]).stem if config.data.sources[0] != "-" else "stdin"
    stem = "".join(c if c.isalnum() or c in "-_" else "-" for c in stem).strip("-") or "run"
    names = (stem if i == 1 else f"{stem}-{i}" for i in range(1, 10_000))
    return next(parent / name for name in names if not (parent / name).exists())


@contextmanager
def _only_writer(run: Run) -> Iterator[None]:
    try:
        with FileLock(run.path / ".lock", timeout=0):
            yield
    except Timeout as error:
        raise UserError(
            f"{run.path} is being trained by another process: wait for it, or use --out"
        ) from error
