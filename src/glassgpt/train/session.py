"""From sources to a verdict: what `glassgpt train` does, as a library."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from threading import Thread

from filelock import FileLock

from glassgpt.checkpoint import Run, acquire_lock, clean_up, steps, write_json
from glassgpt.config import RunConfig
from glassgpt.data import (
    CHAT_SPECIALS,
    SPECIALS,
    ChatCorpus,
    Corpus,
    ExampleCorpus,
    fit_examples,
    is_chat,
    read_chat,
    read_corpus,
    read_examples,
)
from glassgpt.device import choose_device
from glassgpt.diagnose import AccuracyVerdict, Score, Verdict
from glassgpt.errors import UserError
from glassgpt.tokenizers import Tokenizer, train_tokenizer
from glassgpt.train.answer_task import AnswerTask
from glassgpt.train.chat_task import ChatTask
from glassgpt.train.events import Event
from glassgpt.train.finetune import apply_init_from, for_chat, initial_weights
from glassgpt.train.learner import make_learner
from glassgpt.train.metrics import check_trackers
from glassgpt.train.observers import Observer
from glassgpt.train.parallel import Dist
from glassgpt.train.task import Task
from glassgpt.train.text_task import MaskedLMTask, TextTask
from glassgpt.train.trainer import Trainer

AnyCorpus = Corpus | ExampleCorpus | ChatCorpus
Stage = Callable[[str], None]
"""Is told, in a few words, what is being done."""


@dataclass
class Session:
    """One sitting of a run: its folder, its trainer, and what there is to hold its model against."""

    folder: Run
    trainer: Trainer
    notes: tuple[str, ...]
    _lock: FileLock | None = field(repr=False)
    _verdict: Verdict | AccuracyVerdict | None = field(default=None, repr=False)

    @property
    def task(self) -> Task:
        """What is learned."""
        return self.trainer.task

    @property
    def baselines(self) -> list[Score]:
        """The losses of counting, on the same validation split."""
        return self.task.baselines

    def run(self) -> Iterator[Event]:
        """Train; yields the trainer's events. Raises UserError while another process trains this run."""
        if not self.trainer.dist.is_main:
            yield from self.trainer.run()
            return
        if self._lock is None or not self._lock.is_locked:
            self._lock = acquire_lock(self.folder.path)
        try:
            self._verdict = None
            self.folder.verdict_file.unlink(missing_ok=True)
            yield from self.trainer.run()
            if not self.trainer.stopping:
                write_json(self.folder.verdict_file, self.verdict().to_dict())
        finally:
            self.close()

    def close(self) -> None:
        """Give up the right to write to the run, as its end does by itself."""
        if self._lock is not None:
            self._lock.release(force=True)

    def verdict(self) -> Verdict | AccuracyVerdict:
        """The model's best step beside the baselines, on the same whole validation split."""
        if self._verdict is None:
            if not math.isfinite(self.trainer.best):
                raise UserError("there is no verdict yet: the model has not been evaluated; train longer")
            val = self.task.val
            score = Score("this model", self.trainer.best * val.n_chars, val.n_chars, val.n_bytes)
            self._verdict = self.task.verdict(score, lambda: self.folder.model(self.trainer.learner.device))
        return self._verdict


def start(
    config: RunConfig,
    out: Path | str | None = None,
    stage: Stage = lambda _: None,
    *,
    observers: Sequence[Observer] = (),
) -> Session:
    """Read the sources, count the baselines, and make a new run at `out` (by default below `runs/`)."""
    dist = Dist.from_env()
    choose_device(config.train.device)  # what would fail later fails before any work is done
    if not dist.is_main:
        return _join(dist, observers)
    check_trackers(config)
    config = apply_init_from(config)
    compiler = Thread(target=import_module, args=("torch._dynamo",), daemon=True)
    compiler.start()  # torch's optimizers load it, for over a second: let that pass beside the counting
    stage("reading " + ", ".join(config.data.sources))
    if (corpus := read_examples(config)) is not None:
        config = _with_facts(config, corpus)
    elif config.model.family == "gpt" and is_chat(config.data):
        config, corpus = for_chat(config), read_chat(config.data)
    else:
        corpus = read_corpus(config.data)
    path = Path(out) if out else new_path(config)
    Run.check_free(path)  # before a lock is left in somebody's folder
    made = [folder for folder in (path, path.parent) if not folder.exists()]
    with ExitStack() as undo:
        lock = acquire_lock(path)
        undo.callback(clean_up, path, made)
        undo.callback(lock.release, force=True)
        run, task, notes = _make(path, config, corpus, stage)
        compiler.join()
        session = Session(run, _beginning(run, config, task, dist, observers), notes, lock)
        undo.pop_all()
    dist.broadcast_str(str(path))
    return session


def _join(dist: Dist, observers: Sequence[Observer]) -> Session:
    """The run that the first process has made."""
    run = Run.open(dist.broadcast_str(""))
    config = run.config()
    return Session(run, _beginning(run, config, _open(config, run), dist, observers), (), None)


def _beginning(run: Run, config: RunConfig, task: Task, dist: Dist, observers: Sequence[Observer]) -> Trainer:
    """Return a trainer before its first step."""
    learner = make_learner(config, task.tokenizer.n_vocab, dist)
    if config.init_from.run is not None:
        learner.load_initial(initial_weights(config, task.tokenizer.n_vocab))
    return Trainer(run, config, task, learner, observers)


def _make(
    path: Path, config: RunConfig, corpus: AnyCorpus, stage: Stage
) -> tuple[Run, Task, tuple[str, ...]]:
    """A new run with its tokenizer, its data and its baselines; and what the user should hear."""
    tokenizer = _tokenizer(config, corpus, stage)
    if isinstance(corpus, ExampleCorpus):
        corpus = fit_examples(config, corpus, tokenizer)
    run = Run.create(path, config)
    tokenizer.save(run.tokenizer_file)
    stage("counting what there is to beat")
    task = _prepare(config, corpus, tokenizer, run)
    run.record_hashes()
    run.sync()  # no step may outlive what it needs
    return run, task, (*corpus.notes, *task.notes)


def _tokenizer(config: RunConfig, corpus: AnyCorpus, stage: Stage) -> Tokenizer:
    """That of the run which this one begins with, or one that is trained on the text."""
    specials = () if config.model.labels else SPECIALS.get(config.model.family, ())
    if config.data.chat:
        specials = CHAT_SPECIALS
    if config.init_from.run is not None:
        return Run.open(config.init_from.run).tokenizer().with_specials(specials)
    kind, vocab_size = config.tokenizer.kind, config.tokenizer.vocab_size
    stage(f"training the {kind} tokenizer")
    texts = corpus.train.chunks() if isinstance(corpus, Corpus) else corpus.texts()
    return train_tokenizer(kind, texts, vocab_size=vocab_size, specials=specials)


def _prepare(config: RunConfig, corpus: AnyCorpus, tokenizer: Tokenizer, run: Run) -> Task:
    if isinstance(corpus, ExampleCorpus):
        return AnswerTask.prepare(config, corpus, tokenizer, run)
    if isinstance(corpus, ChatCorpus):
        return ChatTask.prepare(config, corpus, tokenizer, run)
    kind = MaskedLMTask if config.model.family == "encoder" else TextTask
    return kind.prepare(config, corpus, tokenizer, run)


def _open(config: RunConfig, run: Run) -> Task:
    family, tokenizer = config.model.family, run.tokenizer()
    if family in ("seq2seq", "captioner") or config.model.labels:
        return AnswerTask.open(config, tokenizer, run)
    if config.data.chat:
        return ChatTask.open(config, tokenizer, run)
    kind = MaskedLMTask if family == "encoder" else TextTask
    return kind.open(config, tokenizer, run)


def _with_facts(config: RunConfig, corpus: ExampleCorpus) -> RunConfig:
    """The configuration with what only the data know: the classes, the images' colors.

    Classes are told by words rather than letters: unless a tokenizer was asked for, BPE reads them.
    """
    facts: dict[str, object] = {}
    tokenizer = config.tokenizer
    if config.model.family == "encoder":
        facts["labels"] = tuple(sorted({example.target for example in (*corpus.train, *corpus.val)}))
        if "kind" not in tokenizer.model_fields_set:
            tokenizer = tokenizer.model_copy(update={"kind": "bpe"})
    if corpus.images is not None:
        facts["channels"] = corpus.images.shape[1]
    model = config.model.model_copy(update=facts)
    return config.model_copy(update={"model": model, "tokenizer": tokenizer})


def resume(
    path: Path | str, config: RunConfig | None = None, *, observers: Sequence[Observer] = ()
) -> Session:
    """Open a run to go on from its newest whole checkpoint; `config` replaces the stored one."""
    run, dist = Run.open(path), Dist.from_env()
    with ExitStack() as undo:
        lock = acquire_lock(run.path) if dist.is_main else None
        if lock is not None:
            undo.callback(lock.release, force=True)
        if not steps(run.checkpoints):
            raise UserError(
                f"{path} has nothing to go on from: it ended before its first step was saved; train anew "
                "(the folder may be deleted)"
            )
        if not run.is_resumable():
            raise UserError(
                f"{path} holds weights without the state of training (it was imported): it can be used, but "
                "not gone on with"
            )
        merged = config or run.config()
        run.check_data_hashes()
        run.layout(merged)  # before memory is taken for whatever config.json asks for
        task = _open(merged, run)
        learner = make_learner(merged, task.tokenizer.n_vocab, dist)
        trainer = Trainer(run, merged, task, learner, observers)
        notes = trainer.resume()
        if trainer.progress >= 1 and run.verdict_file.is_file():
            done = f"{trainer.step} steps in {trainer.elapsed_s / 60:.2f} minutes"
            raise UserError(
                f"{path} is finished ({done}): --steps or --minutes name its length in all; give more"
            )
        session = Session(run, trainer, tuple(notes), lock)
        if config is not None and dist.is_main:  # only now that everything else has gone well
            run.write_config(config)
        undo.pop_all()
    return session


def new_path(config: RunConfig, parent: Path = Path("runs")) -> Path:
    """A name that is free below `parent`, after the first source: runs/notes, runs/notes-2, …"""
    stem = Path(config.data.sources[0]).stem if config.data.sources[0] != "-" else "stdin"
    stem = "".join(c if c.isalnum() or c in "-_" else "-" for c in stem).strip("-") or "run"
    names = (stem if i == 1 else f"{stem}-{i}" for i in range(1, 10_000))
    return next(parent / name for name in names if not (parent / name).exists())
